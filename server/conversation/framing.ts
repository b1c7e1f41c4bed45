import { createFrameCutter } from "../core/pcm/frames.ts";
import { createConverter } from "../core/pcm/to-48k.ts";
import type { WordTiming } from "../providers/speech/synthesizer.ts";
import type { ReplyPart } from "../providers/text/generator.ts";
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
  const chunks = function* (frames: Iterable<Int16Array>): Generator<TurnChunk> {
    for (const pcm of frames) {
      yield { type: "audio", pcm, synthesizer, ...(words.length > 0 && { words }) };
      words = [];
    }
  };
  return {
    *push(part: VoiceStretch): Generator<TurnChunk> {
      words = [...words, ...part.words];
      synthesizer = part.tier;
      yield* chunks(cutter.fill(part.pcm));
    },
    *rest(): Generator<TurnChunk> {
      yield* chunks(cutter.rest());
    },
  };
}

/** A part of a reply that is not to be spoken any more, and the tier that made it. */
type VoicePart = Exclude<ReplyPart, { type: "text" }> & { readonly tier?: string };

/** The chunks of a model that speaks by itself: its transcript as text, its voice at 48 kHz. */
export async function* frameVoice(
  parts: AsyncIterable<VoicePart>,
  samplesPerFrame: number,
): AsyncGenerator<TurnChunk> {
  const converter = createConverter();
  const framer = createFramer(samplesPerFrame);
  let tier = "";
  const rest = function* () {
    for (const pcm of converter.flush()) yield* framer.push({ tier, pcm, words: [] });
    yield* framer.rest();
  };
  try {
    for await (const part of parts) {
      if (part.type === "transcript") {
        if (part.text !== "") yield { type: "text", text: part.text };
        continue;
      }
      tier = part.tier ?? tier;
      for (const pcm of converter.push(part)) yield* framer.push({ tier, pcm, words: [] });
    }
  } catch (error) {
    yield* rest();
    throw error;
  }
  yield* rest();
}
