import { bytesOf, outputRateHz } from "../core/audio/pcm.ts";
import { createResampler } from "../core/audio/resample.ts";
import { wavHeader } from "../core/audio/wav.ts";
import { FILE_RATE_HZ } from "../encoding/codec.ts";
import type { Encoders } from "../encoding/encoders.ts";
import { hasMp3 } from "../encoding/mp3.ts";
import { createOggOpusFile } from "../encoding/ogg-file.ts";
import type { AudioEncoder } from "./audio-encoder.ts";

/** A format of sound. */
export type AudioFormat = {
  readonly contentType: string;
  /** Samples a second that its encoder takes. */
  readonly sampleRateHz: number;
  /** Opens an encoder. Undefined if the package that does it is not installed. */
  open(use: EncoderUse): Promise<AudioEncoder | undefined>;
};

/** What an encoder is opened with. */
export type EncoderUse = {
  readonly encoders: Encoders;
  /** Fires when nobody wants the sound any more. */
  readonly signal: AbortSignal;
};

/** The rate of OpenAI's files. */
const RATE_HZ = FILE_RATE_HZ;

/** The formats by OpenAI's names. */
export const audioFormats = {
  mp3: {
    contentType: "audio/mpeg",
    sampleRateHz: RATE_HZ,
    open: async ({ encoders, signal }) => (hasMp3() ? encoders.openFile("mp3", signal) : undefined),
  },
  opus: {
    contentType: "audio/ogg; codecs=opus",
    sampleRateHz: outputRateHz,
    open: async ({ encoders, signal }) => createOggOpusFile(encoders, signal),
  },
  flac: {
    contentType: "audio/flac",
    sampleRateHz: RATE_HZ,
    open: async ({ encoders, signal }) => encoders.openFile("flac", signal),
  },
  wav: { contentType: "audio/wav", sampleRateHz: RATE_HZ, open: async () => createWavEncoder() },
  pcm: { contentType: "audio/pcm", sampleRateHz: RATE_HZ, open: async () => pcmEncoder },
} satisfies Readonly<Record<string, AudioFormat>>;

/** The name of a format. */
export type AudioFormatName = keyof typeof audioFormats;

/** The formats that can be encoded here, in the order of the table. */
export async function findAudioFormats(use: EncoderUse): Promise<readonly AudioFormatName[]> {
  const names = Object.keys(audioFormats) as AudioFormatName[];
  const found = names.map(async (name) => {
    const encoder = await (audioFormats[name] as AudioFormat).open(use);
    encoder?.close?.();
    return encoder ? [name] : [];
  });
  return (await Promise.all(found)).flat();
}

/** Opens an encoder of the format that takes the gateway's own 48 kHz. */
export async function openEncoder(
  format: AudioFormat,
  use: EncoderUse,
): Promise<AudioEncoder | undefined> {
  const encoder = await format.open(use);
  if (!encoder || format.sampleRateHz === outputRateHz) return encoder;
  const resampler = createResampler(outputRateHz, format.sampleRateHz);
  return {
    ...encoder,
    push: (pcm) => encoder.push(resampler.push(pcm)),
    async end() {
      const rest = await encoder.push(resampler.flush());
      return Buffer.concat([rest, await encoder.end()]);
    },
  };
}

const none = new Uint8Array(0);

const pcmEncoder: AudioEncoder = { push: bytesOf, end: () => none };

/** The length is open: the header leaves before it is known. */
function createWavEncoder(): AudioEncoder {
  let header = wavHeader({ sampleRateHz: RATE_HZ, channels: 1 });
  return {
    push(pcm) {
      const bytes = Buffer.concat([header, bytesOf(pcm)]);
      header = none;
      return bytes;
    },
    end: () => header,
  };
}
