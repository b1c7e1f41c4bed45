import { createWavReader } from "../../core/audio/wav.ts";
import { AnalysisError } from "../errors.ts";
import { truncated } from "./byte-reader.ts";
import type { Pcm } from "./mono.ts";

/** Decodes RIFF/WAVE. A file that has less sound than its header says is cut short. */
export async function* decodeWavFile(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Pcm> {
  const reader = createWavReader();
  for await (const piece of bytes) {
    const pcm = push(reader, piece);
    if (reader.sampleRateHz !== undefined) yield { pcm, sampleRateHz: reader.sampleRateHz };
  }
  if (reader.missingBytes > 0) throw truncated("WAV");
}

function push(reader: ReturnType<typeof createWavReader>, piece: Uint8Array): Int16Array {
  try {
    return reader.push(piece);
  } catch (error) {
    throw new AnalysisError("invalid", (error as Error).message);
  }
}
