import { outputRateHz } from "../core/audio/pcm.ts";
import type { TurnChunk } from "./reply.ts";

const SAMPLES_A_MS = outputRateHz / 1000;

/** Samples of a chunk's sound at 48 kHz; none of a text. */
export function samplesIn(chunk: TurnChunk): number {
  return chunk.type === "audio" ? chunk.pcm.length : 0;
}

/** Samples of the sound of all these chunks. */
export function countSamples(chunks: readonly TurnChunk[]): number {
  return chunks.reduce((sum, chunk) => sum + samplesIn(chunk), 0);
}

/** Milliseconds that the sound of these chunks plays. */
export function playMs(chunks: readonly TurnChunk[]): number {
  return countSamples(chunks) / SAMPLES_A_MS;
}
