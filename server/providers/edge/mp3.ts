import { MPEGDecoder } from "mpg123-decoder";
import { kindOf } from "../azure/errors.ts";

/** Sound that was decoded. */
type Decoded = { readonly pcm: Int16Array; readonly sampleRateHz: number };

/** Decodes one MP3 stream as it comes. */
export type Mp3Decoder = {
  /**
   * Takes bytes in, in any cuts, and gives the samples that are whole by now; perhaps none. Throws a
   * `protocol` fault if they are no MP3.
   */
  decode(bytes: Uint8Array): Decoded;
  /** Frees the decoder's memory. */
  free(): void;
};

/** Makes a decoder; the first one takes some 50 ms, later ones one. */
export async function createMp3Decoder(): Promise<Mp3Decoder> {
  // Gapless play would cut the delay of an encoder that does not tell of itself here.
  const decoder = new MPEGDecoder({ enableGapless: false });
  await decoder.ready;
  return {
    decode(bytes) {
      const { channelData, samplesDecoded, sampleRate, errors } = decoder.decode(bytes);
      if (errors.length > 0) throw kindOf("edge", "protocol", { told: "the sound is no MP3" });
      const [left] = channelData;
      const pcm = new Int16Array(left === undefined ? 0 : samplesDecoded);
      for (let at = 0; at < pcm.length; at++) pcm[at] = toSample(left?.[at] ?? 0);
      return { pcm, sampleRateHz: sampleRate };
    },
    free: () => decoder.free(),
  };
}

function toSample(level: number): number {
  return Math.max(-32_768, Math.min(32_767, Math.round(level * 32_768)));
}
