import { outputRateHz, samplesPerChunk } from "../core/audio/pcm.ts";
import { generateReply } from "../failover/reply.ts";
import type { Tier, TierListener } from "../failover/tiers.ts";
import { speakText } from "../failover/utterance.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import { createFramer, frameVoice } from "./framing.ts";
import type { Stages } from "./turn.ts";

/** What the stages of a turn are made of. */
export type StageOptions = TierListener & {
  /** Best first. */
  readonly languageModels: readonly Tier<LanguageModel>[];
  /** Best first. */
  readonly synthesizers: readonly Tier<Synthesizer>[];
  /**
   * Length of an audio chunk, rounded down to whole blocks of 512 samples. Only the last chunk of a
   * sentence, or of a stretch that a model speaks by itself, has another length.
   */
  readonly frameMs: number;
};

/** Makes the providers' tiers into the stages of a turn. */
export function createStages(options: StageOptions): Stages {
  const { languageModels, synthesizers, frameMs, ...listener } = options;
  const samplesPerFrame = samplesPerChunk(frameMs, outputRateHz);
  return {
    async *generate(prompt, signal) {
      const run = { tiers: languageModels, ...listener };
      for await (const { tier, part } of generateReply(run, prompt, signal)) {
        yield part.type === "audio" ? { ...part, tier } : part;
      }
    },
    async *speak(text, voice, signal) {
      const run = { tiers: synthesizers, ...listener };
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
    async prepare(context, signal) {
      const text = async () => firstHealthy(languageModels)?.prepare?.(context, signal);
      const speech = async () => firstHealthy(synthesizers)?.prepare?.(signal);
      // What cannot be made ready now may be there when the turn comes, which says so if it is not.
      await Promise.allSettled([text(), speech()]);
    },
  };
}

/** The provider that the next call will most likely go to. One that fails is not knocked at. */
function firstHealthy<Provider>(tiers: readonly Tier<Provider>[]): Provider | undefined {
  return tiers.find(({ breaker }) => breaker.state() === "CLOSED")?.provider;
}
