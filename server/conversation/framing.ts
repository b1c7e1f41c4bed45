import { createConverter, createFrameCutter, joinPcm } from "../core/audio/pcm.ts";
import type { ReplyPart } from "../models/language-model.ts";
import type { WordTiming } from "../models/synthesizer.ts";
import { createTranscriptWords } from "./transcript-words.ts";
import type { TurnChunk } from "./turn.ts";

/** A stretch of voice at 48 kHz, of any length, as it comes from a tier. */
type VoiceStretch = {
  readonly tier: string;
  readonly pcm: Int16Array;
  readonly words: readonly WordTiming[];
};

/** Cuts parts into chunks. A chunk bears the words that became known since the one before. */
export function createFramer(samplesPerFrame: number) {
  const cutter = createFrameCutter(samplesPerFrame);
  let words: readonly WordTiming[] = [];
  let synthesizer = "";
  const toChunk = (pcm: Int16Array): TurnChunk => {
    const told = words;
    words = [];
    return { type: "audio", pcm, synthesizer, ...(told.length > 0 && { words: told }) };
  };
  return {
    push(part: VoiceStretch): readonly TurnChunk[] {
      if (part.words.length > 0) words = [...words, ...part.words];
      synthesizer = part.tier;
      return cutter.push(part.pcm).map(toChunk);
    },
    /** The last chunk, if any is left. */
    flush: (): readonly TurnChunk[] => cutter.flush().map(toChunk),
  };
}

const silence = new Int16Array(0);

/** A part of a reply that is not to be spoken any more, and the tier that made it. */
type VoicePart = Exclude<ReplyPart, { type: "text" }> & { readonly tier?: string };

/**
 * The chunks of a model that speaks by itself: its transcript as text, its voice at 48 kHz, and its
 * words' timings, which it does not tell, as an estimate.
 */
export async function* frameVoice(
  parts: AsyncIterable<VoicePart>,
  samplesPerFrame: number,
): AsyncGenerator<TurnChunk> {
  const converter = createConverter();
  const framer = createFramer(samplesPerFrame);
  const transcript = createTranscriptWords();
  /** The newest sample waits: words that are placed at the end need sound to travel with. */
  let newest: Int16Array = silence;
  let samples = 0;
  let tier = "";
  const take = (pcm: Int16Array) => {
    const all = joinPcm([newest, pcm]);
    samples += pcm.length;
    newest = all.subarray(-1);
    return framer.push({ tier, pcm: all.subarray(0, -1), words: [] });
  };
  const rest = () => [
    ...take(converter.flush()),
    ...framer.push({ tier, pcm: newest, words: transcript.end(samples) }),
    ...framer.flush(),
  ];
  try {
    for await (const part of parts) {
      if (part.type === "transcript") {
        // It fills no chunk: words wait for the next one.
        framer.push({ tier, pcm: silence, words: transcript.write(part.text, samples) });
        if (part.text !== "") yield { type: "text", text: part.text };
        continue;
      }
      tier = part.tier ?? tier;
      yield* take(converter.push(part));
    }
  } catch (error) {
    yield* rest();
    throw error;
  }
  yield* rest();
}
