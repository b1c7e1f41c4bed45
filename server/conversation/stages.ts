import { outputRateHz } from "../core/pcm/to-48k.ts";
import { generateReply } from "../providers/reply.ts";
import type { Synthesizer } from "../providers/speech/synthesizer.ts";
import type { Generator } from "../providers/text/generator.ts";
import type { Tier, TierOutcome } from "../providers/tiers.ts";
import { speakText } from "../providers/utterance.ts";
import { createFramer, frameVoice } from "./framing.ts";
import type { Stages } from "./turn.ts";

/** What the stages of a turn are made of. */
export type StageOptions = {
  /** Best first. */
  readonly generators: readonly Tier<Generator>[];
  /** Best first. */
  readonly synthesizers: readonly Tier<Synthesizer>[];
  /** Length of an audio chunk. */
  readonly frameMs: number;
  /** Told how each call of a tier ended, unless it was cancelled. */
  readonly onOutcome: (outcome: TierOutcome) => void;
};

/** Makes the providers' tiers into the stages of a turn. */
export function createStages(options: StageOptions): Stages {
  const { generators, synthesizers, onOutcome } = options;
  const samplesPerFrame = (outputRateHz * options.frameMs) / 1000;
  return {
    async *generate(prompt, signal) {
      const run = { tiers: generators, onOutcome };
      for await (const { tier, part } of generateReply(run, prompt, signal)) {
        yield part.type === "audio" ? { ...part, tier } : part;
      }
    },
    async *speak(text, voice, signal) {
      const run = { tiers: synthesizers, onOutcome };
      const framer = createFramer(samplesPerFrame);
      try {
        for await (const part of speakText(run, { text, voice }, signal)) {
          // Not `yield*`: of chunks that are there already it would wait for each twice.
          for (const chunk of framer.push(part)) yield chunk;
        }
      } catch (error) {
        yield* framer.flush();
        throw error;
      }
      yield* framer.flush();
    },
    frame: (parts) => frameVoice(parts, samplesPerFrame),
  };
}
