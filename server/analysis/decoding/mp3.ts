import { MPEGDecoder } from "mpg123-decoder";
import { AnalysisError } from "../errors.ts";
import { truncated } from "./byte-reader.ts";
import { mixDown, type Pcm } from "./mono.ts";
import { createFrameCounter } from "./mp3-frames.ts";

/** What is decoded at once: about 2 s of speech. */
const PIECE_BYTES = 16 * 1024;

/** Decodes MPEG audio, layers I to III. Damaged frames are passed over, as players do. */
export async function* decodeMp3(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Pcm> {
  const decoder = new MPEGDecoder();
  await decoder.ready;
  const frames = createFrameCounter();
  let samples = 0;
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const piece = chunk.subarray(at, at + PIECE_BYTES);
      frames.push(piece);
      const { channelData, samplesDecoded, sampleRate } = decoder.decode(piece);
      if (samplesDecoded === 0) continue;
      samples += samplesDecoded;
      yield { pcm: mixDown(channelData), sampleRateHz: sampleRate };
    }
  }
  if (samples === 0)
    throw new AnalysisError("invalid", "the file holds no MP3 that can be decoded");
  if (frames.isCutShort()) throw truncated("MP3");
}
