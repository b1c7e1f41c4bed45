import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type AudioChunkSchema,
  AudioFormat,
  SourceKind,
  type StreamResponseSchema,
  type WelcomeResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import type { TurnChunk } from "../conversation/reply.ts";
import { bytesOf, outputRateHz } from "../core/audio/pcm.ts";
import type { AudioChunk } from "../failover/framer.ts";
import { isOpus } from "./opus-chunks.ts";

/** A message of StreamAudio, for connect-node to encode. */
export type StreamStep = MessageInitShape<typeof StreamResponseSchema>;
/** A message of GenerateWelcomeAudio, for connect-node to encode. */
export type WelcomeStep = MessageInitShape<typeof WelcomeResponseSchema>;
/** What went wrong, in either. */
export type ErrorStep = { content: { case: "errorMessage"; value: string } };

/** The format of all audio. */
const format = { dtype: "int16", sampleRate: outputRateHz, channels: 1 };

/** The message for a chunk of a turn. */
export function streamStep(chunk: TurnChunk): StreamStep {
  const { source, sequence } = chunk;
  const kind = chunk.type === "text" ? SourceKind.TEXT : SourceKind.SPEECH;
  return {
    content:
      chunk.type === "text"
        ? { case: "textChunk", value: chunk.text }
        : { case: "audioChunk", value: audioMessage(chunk) },
    ...(sequence !== undefined && { sequence: BigInt(sequence) }),
    ...(source && { source: { kind, ...source } }),
  };
}

/** The message for a chunk of audio. It shares the samples' memory. */
export function audioMessage(chunk: AudioChunk): MessageInitShape<typeof AudioChunkSchema> {
  const { pcm, words = [] } = chunk;
  return {
    audioData: bytesOf(pcm) as Uint8Array<ArrayBuffer>,
    ...format,
    ...(isOpus(chunk) && { audioData: chunk.packet, dtype: "opus", format: AudioFormat.OPUS }),
    shape: [pcm.length],
    words: words.map(({ word, startSample, endSample }) => ({
      word,
      startSample: BigInt(startSample),
      endSample: BigInt(endSample),
    })),
  };
}

/** The message for a chunk of a spoken text; none for its words. */
export function welcomeStep(chunk: TurnChunk): WelcomeStep | undefined {
  if (chunk.type === "text") return undefined;
  return { content: { case: "audioChunk", value: audioMessage(chunk) } };
}

/** Describes the sound of a spoken text. */
export function welcomeMetadata(method: string, samples: number) {
  return { method, durationSec: samples / outputRateHz, ...format };
}

/** The last message of a stream that ran to its end. */
export const endStep = (value: string) => ({ content: { case: "endMessage", value } }) as const;
