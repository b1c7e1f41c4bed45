import { samplesOf } from "./pcm.ts";

/** What a WAV file's `fmt ` chunk says about its samples. */
export type WavFormat = {
  /** 1000–192000. */
  readonly sampleRateHz: number;
  /** 1–64. */
  readonly channels: number;
  /** Bytes of one sample of every channel. */
  readonly frameBytes: number;
  readonly encoding: WavEncoding;
};

type WavEncoding = "int8" | "int16" | "int24" | "int32" | "float32";

/** The part of a `fmt ` chunk that is understood: what follows these bytes is skipped. */
export const formatBytes = 40;

const shortestFormatBytes = 16;
const tagPcm = 1;
const tagFloat = 3;
const tagExtensible = 0xfffe;

/** Reads the body of a `fmt ` chunk. Throws an Error that says what is wrong with it. */
export function parseWavFormat(body: Uint8Array): WavFormat {
  if (body.length < shortestFormatBytes) throw new Error("WAV: the fmt chunk is too short");
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const channels = view.getUint16(2, true);
  const sampleRateHz = view.getUint32(4, true);
  const frameBytes = view.getUint16(12, true);
  const encoding = encodingOf(tagOf(view), view.getUint16(14, true));
  requireRange("channels", channels, [1, 64]);
  requireRange("samples a second", sampleRateHz, [1_000, 192_000]);
  if (frameBytes !== channels * sampleBytes[encoding]) {
    throw new Error(`WAV: ${channels} channels of ${encoding} do not fill ${frameBytes} bytes`);
  }
  return { sampleRateHz, channels, frameBytes, encoding };
}

/** The format tag; the extensible form keeps it in the first bytes of its sub-format. */
function tagOf(view: DataView): number {
  const tag = view.getUint16(0, true);
  if (tag !== tagExtensible) return tag;
  if (view.byteLength < formatBytes) throw new Error("WAV: the extensible fmt chunk is too short");
  return view.getUint16(24, true);
}

const sampleBytes: Record<WavEncoding, number> = {
  int8: 1,
  int16: 2,
  int24: 3,
  int32: 4,
  float32: 4,
};

const encodings: Record<string, WavEncoding> = {
  [`${tagPcm} 8`]: "int8",
  [`${tagPcm} 16`]: "int16",
  [`${tagPcm} 24`]: "int24",
  [`${tagPcm} 32`]: "int32",
  [`${tagFloat} 32`]: "float32",
};

function encodingOf(tag: number, bits: number): WavEncoding {
  const encoding = encodings[`${tag} ${bits}`];
  if (!encoding) throw new Error(`WAV: format ${tag} with ${bits} bits is not understood`);
  return encoding;
}

function requireRange(what: string, value: number, [from, to]: readonly [number, number]): void {
  if (value < from || value > to) throw new Error(`WAV: ${value} ${what} (${from}–${to} expected)`);
}

/**
 * Whole frames as mono samples of 16 bits: channels are averaged, finer samples are rounded, floats
 * beyond full scale are clipped. 16-bit mono may share memory with `bytes`.
 */
export function decodeWav(bytes: Uint8Array, format: WavFormat): Int16Array {
  const { channels, encoding, frameBytes } = format;
  if (channels === 1 && encoding === "int16") return samplesOf(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = readers[encoding];
  const step = sampleBytes[encoding];
  const pcm = new Int16Array(Math.floor(bytes.length / frameBytes));
  for (let frame = 0; frame < pcm.length; frame++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      sum += read(view, frame * frameBytes + channel * step);
    }
    pcm[frame] = Math.max(-32_768, Math.min(32_767, Math.round(sum / channels)));
  }
  return pcm;
}

/** Each reads the sample at a byte offset, on the scale of 16 bits. */
const readers: Record<WavEncoding, (view: DataView, at: number) => number> = {
  // Eight bits alone are unsigned.
  int8: (view, at) => (view.getUint8(at) - 128) * 256,
  int16: (view, at) => view.getInt16(at, true),
  int24: (view, at) => view.getInt16(at + 1, true) + view.getUint8(at) / 256,
  int32: (view, at) => view.getInt32(at, true) / 65_536,
  float32: (view, at) => finite(view.getFloat32(at, true)) * 32_768,
};

/** Not a number is silence; infinity would make a sum of channels meaningless. */
function finite(value: number): number {
  return Number.isNaN(value) ? 0 : Math.max(-1e6, Math.min(1e6, value));
}
