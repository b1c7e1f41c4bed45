import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AudioChunkSchema } from "../../gen/streaming/streaming_pb.ts";
import type { AudioChunk } from "../conversation/turn.ts";
import { bytesOf } from "../core/audio/bytes.ts";
import { outputRateHz } from "../core/audio/to-48k.ts";

/** The wire's message for a slice of the voice. Shares the samples' memory. */
export function audioMessage({
  pcm,
  words = [],
}: AudioChunk): MessageInitShape<typeof AudioChunkSchema> {
  return {
    audioData: bytesOf(pcm) as Uint8Array<ArrayBuffer>,
    dtype: "int16",
    shape: [pcm.length],
    sampleRate: outputRateHz,
    channels: 1,
    words: words.map(({ word, startSample, endSample }) => ({
      word,
      startSample: BigInt(startSample),
      endSample: BigInt(endSample),
    })),
  };
}
