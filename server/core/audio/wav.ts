import { createAligner } from "./pcm.ts";
import { decodeWav, formatBytes, parseWavFormat, type WavFormat } from "./wav-format.ts";

/**
 * The 44 bytes that stand before 16-bit PCM in a WAV file. Without `dataBytes` (a multiple of
 * `channels * 2`) the length is open: it says 0x7ffff000 bytes, the size that sox itself writes to a
 * pipe and reads to the end without a warning.
 */
export function wavHeader(format: {
  readonly sampleRateHz: number;
  readonly channels: number;
  readonly dataBytes?: number;
}): Uint8Array {
  const { sampleRateHz, channels, dataBytes = shortestOpenLength } = format;
  const view = new DataView(new ArrayBuffer(44));
  const frameBytes = channels * 2;
  writeName(view, 0, "RIFF");
  view.setUint32(4, Math.min(longestLength, dataBytes + 36), true);
  writeName(view, 8, "WAVE");
  writeName(view, 12, "fmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, sampleRateHz, true);
  view.setUint32(28, sampleRateHz * frameBytes, true);
  view.setUint16(32, frameBytes, true);
  view.setUint16(34, 16, true);
  writeName(view, 36, "data");
  view.setUint32(40, Math.min(longestLength, dataBytes), true);
  return new Uint8Array(view.buffer);
}

function writeName(view: DataView, at: number, name: string): void {
  for (let index = 0; index < 4; index++) view.setUint8(at + index, name.charCodeAt(index));
}

const longestLength = 0xffffffff;
/** Programs that write to a pipe put some number from here up, or 0, where the length belongs. */
const shortestOpenLength = 0x7ffff000;

/** Reads a WAV file as it arrives. */
export type WavReader = {
  /**
   * Takes the next bytes, cut anywhere, and returns the mono samples that are whole, perhaps none;
   * they may share memory with `bytes`. What follows the audio is passed over. Throws an Error that
   * says what is wrong with the header.
   */
  push(bytes: Uint8Array): Int16Array;
  /** Samples a second, once the header told it: no later than with the first sample. */
  readonly sampleRateHz: number | undefined;
  /** Bytes that the header promises and that have not come; 1 before the audio begins. 0 if the length is open. */
  readonly missingBytes: number;
};

/**
 * Creates a reader of RIFF/WAVE with PCM of 8, 16, 24 or 32 bits or floats of 32 bits, plain or
 * extensible, up to 64 channels (mixed down), with a stated or an open length.
 */
export function createWavReader(): WavReader {
  return new RiffReader();
}

class RiffReader implements WavReader {
  /** The next piece of header: how many bytes it has, and what to do with them. */
  #wanted = 12;
  #take: (piece: Uint8Array) => void = (piece) => this.#begin(piece);
  readonly #header = new Uint8Array(formatBytes);
  #headerLength = 0;
  /** Bytes to pass over before the next piece of header. */
  #toSkip = 0;
  #format: WavFormat | undefined;
  #align: ((bytes: Uint8Array) => Uint8Array) | undefined;
  /** Bytes of audio that are still to come. */
  #audioLeft = 0;

  get sampleRateHz(): number | undefined {
    return this.#format?.sampleRateHz;
  }

  get missingBytes(): number {
    if (!this.#align) return 1;
    return Number.isFinite(this.#audioLeft) ? this.#audioLeft : 0;
  }

  push(bytes: Uint8Array): Int16Array {
    let rest = bytes;
    while (!this.#align && rest.length > 0) rest = this.#readHeader(rest);
    if (!this.#align || !this.#format) return new Int16Array(0);
    const audio = rest.subarray(0, Math.min(rest.length, this.#audioLeft));
    this.#audioLeft -= audio.length;
    return decodeWav(this.#align(audio), this.#format);
  }

  /** Takes what the header needs next and returns the bytes after it. */
  #readHeader(bytes: Uint8Array): Uint8Array {
    if (this.#toSkip > 0) {
      const skipped = Math.min(this.#toSkip, bytes.length);
      this.#toSkip -= skipped;
      return bytes.subarray(skipped);
    }
    const piece = bytes.subarray(0, this.#wanted - this.#headerLength);
    this.#header.set(piece, this.#headerLength);
    this.#headerLength += piece.length;
    if (this.#headerLength === this.#wanted) {
      this.#headerLength = 0;
      this.#take(this.#header.subarray(0, this.#wanted));
    }
    return bytes.subarray(piece.length);
  }

  #begin(piece: Uint8Array): void {
    if (nameAt(piece, 0) !== "RIFF" || nameAt(piece, 8) !== "WAVE") {
      throw new Error("WAV: it does not begin with RIFF and WAVE");
    }
    this.#expectChunk();
  }

  #expectChunk(): void {
    this.#wanted = 8;
    this.#take = (piece) => this.#openChunk(piece);
  }

  #openChunk(piece: Uint8Array): void {
    const name = nameAt(piece, 0);
    const bytes = new DataView(piece.buffer, piece.byteOffset).getUint32(4, true);
    if (name === "data") this.#openAudio(bytes);
    else if (name === "fmt ") this.#expectFormat(bytes);
    // A chunk of odd length is followed by one byte of padding.
    else this.#toSkip = bytes + (bytes % 2);
  }

  #expectFormat(bytes: number): void {
    this.#wanted = Math.min(bytes, formatBytes);
    if (this.#wanted === 0) throw new Error("WAV: the fmt chunk is empty");
    this.#take = (piece) => {
      this.#format = parseWavFormat(piece);
      this.#toSkip = bytes - piece.length + (bytes % 2);
      this.#expectChunk();
    };
  }

  #openAudio(bytes: number): void {
    if (!this.#format) throw new Error("WAV: the audio comes before the fmt chunk");
    const open = bytes === 0 || bytes >= shortestOpenLength;
    this.#audioLeft = open ? Number.POSITIVE_INFINITY : bytes;
    this.#align = createAligner(this.#format.frameBytes);
  }
}

function nameAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}
