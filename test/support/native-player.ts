import type { StreamResponse } from "../../gen/streaming/streaming_pb.ts";

/** Samples that the native client's player takes from a chunk at a time. */
const BLOCK_SAMPLES = 512;

/** What the native client plays of a stream. */
export type Playback = {
  /** How many chunks it plays. */
  readonly chunks: number;
  /** The zeros that it fills in: how many samples are missing behind which chunk, from 0. */
  readonly gaps: readonly { readonly chunk: number; readonly missing: number }[];
  /** The chunks behind which a text chunk or the end comes, from 0. */
  readonly sentenceEnds: readonly number[];
  /** Whether a message told it that the reply is over: what follows is not read. */
  readonly finished: boolean;
};

/**
 * Plays a stream as the deployed native client does. It asks whether a message has text, and takes
 * each other one for audio: without bytes, it means that the reply is over. It plays in blocks of 512
 * samples, in the order of arrival, and drains a chunk before it takes the next one: what a chunk
 * leaves over is filled with zeros.
 */
export function playNatively(messages: Iterable<StreamResponse>): Playback {
  const gaps: { chunk: number; missing: number }[] = [];
  const sentenceEnds = new Set<number>();
  let chunks = 0;
  const play = (samples: number) => {
    const over = samples % BLOCK_SAMPLES;
    if (over > 0) gaps.push({ chunk: chunks, missing: BLOCK_SAMPLES - over });
    chunks += 1;
  };
  const endSentence = () => {
    if (chunks > 0) sentenceEnds.add(chunks - 1);
  };
  const answer = (finished: boolean): Playback => {
    endSentence();
    return { chunks, gaps, sentenceEnds: [...sentenceEnds], finished };
  };
  for (const { content } of messages) {
    if (content.case === "textChunk" && content.value !== "") {
      endSentence();
      continue;
    }
    const bytes = content.case === "audioChunk" ? content.value.audioData.byteLength : 0;
    if (bytes === 0) return answer(true);
    play(bytes / 2);
  }
  return answer(false);
}

/** The gaps within sentences, which a listener hears as stutter. */
export function stutterOf({ gaps, sentenceEnds }: Playback): Playback["gaps"] {
  return gaps.filter(({ chunk }) => !sentenceEnds.includes(chunk));
}
