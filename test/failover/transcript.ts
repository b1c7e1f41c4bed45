import type { ConnectError } from "@connectrpc/connect";
import type { StreamResponse } from "../../gen/streaming/streaming_pb.ts";
import { joinPcm } from "../../server/core/audio/pcm.ts";

/** A word that the client was told of; samples of 48 kHz from the start of the turn. */
type HeardWord = {
  readonly word: string;
  readonly startSample: number;
  readonly endSample: number;
};

/** What a client got of one turn. */
export type Transcript = {
  /** All text chunks, joined. */
  readonly text: string;
  /** All audio, joined. */
  readonly pcm: Int16Array;
  readonly words: readonly HeardWord[];
  /** The `end_message`, if it came. */
  readonly end: string | undefined;
  /** The `error_message`, if it came. */
  readonly errorMessage: string | undefined;
  /** The status, if it is not OK. */
  readonly status: ConnectError | undefined;
};

/** Puts together what a client gets. Throws if a message breaks the order of the contract. */
export function createTranscript() {
  let text = "";
  const slices: Int16Array[] = [];
  const words: HeardWord[] = [];
  let end: string | undefined;
  let errorMessage: string | undefined;
  let status: ConnectError | undefined;
  return {
    take(content: StreamResponse["content"]) {
      if (end !== undefined || errorMessage !== undefined)
        throw new Error("a message after the last");
      switch (content.case) {
        case "textChunk":
          text += content.value;
          break;
        case "audioChunk": {
          const { audioData, words: told } = content.value;
          // A copy: the message's bytes need not begin where a sample may.
          slices.push(new Int16Array(Uint8Array.from(audioData).buffer));
          words.push(
            ...told.map(({ word, startSample, endSample }) => ({
              word,
              startSample: Number(startSample),
              endSample: Number(endSample),
            })),
          );
          break;
        }
        case "endMessage":
          end = content.value;
          break;
        case "errorMessage":
          errorMessage = content.value;
          break;
        default:
          throw new Error("a message without content");
      }
    },
    fail(error: ConnectError) {
      status = error;
    },
    read: (): Transcript => ({
      text,
      pcm: joinPcm(slices),
      words: [...words],
      end,
      errorMessage,
      status,
    }),
  };
}
