import { createResampler, type Resampler } from "./resample.ts";

/** The rate of all audio that leaves the gateway. */
export const outputRateHz = 48_000;

/** A piece of mono PCM with its rate. */
export type RatedPcm = {
  readonly pcm: Int16Array;
  /** Samples a second, a whole number up to 192000. */
  readonly sampleRateHz: number;
};

/** Converts audio of any rate to 48 kHz. The only place that does. */
export type Converter = {
  /**
   * Takes a part and returns the samples that are ready, perhaps none. Throws a RangeError for a rate
   * that `createResampler` refuses.
   */
  push(part: RatedPcm): Int16Array;
  /** Returns what the filter still holds. The converter is then as new. */
  flush(): Int16Array;
};

/**
 * Makes a converter. It keeps the filter's state from part to part, so that no border is heard, and
 * empties it on `flush` and where the rate changes. 48 kHz needs no filter.
 */
export function createConverter(): Converter {
  let rateHz = outputRateHz;
  let resampler: Resampler | undefined;
  const flush = () => resampler?.flush() ?? none;
  return {
    push({ pcm, sampleRateHz }) {
      if (sampleRateHz === rateHz) return resampler?.push(pcm) ?? pcm;
      const held = flush();
      resampler =
        sampleRateHz === outputRateHz ? undefined : createResampler(sampleRateHz, outputRateHz);
      rateHz = sampleRateHz;
      const ready = resampler?.push(pcm) ?? pcm;
      return held.length === 0 ? ready : joinPcm([held, ready]);
    },
    flush,
  };
}

const none = new Int16Array(0);

/** Samples that the native client plays at once. It pads the rest of a chunk with zeros. */
export const BLOCK_SAMPLES = 512;

/**
 * Samples of a chunk of `chunkMs` milliseconds at `rateHz`, rounded down to whole blocks; one block
 * at least.
 */
export function samplesPerChunk(chunkMs: number, rateHz: number): number {
  const blocks = Math.floor((rateHz * chunkMs) / 1000 / BLOCK_SAMPLES);
  return Math.max(1, blocks) * BLOCK_SAMPLES;
}

/** Cuts samples into frames of one length. Frames may share memory with the samples it was given. */
export type FrameCutter = {
  /** Takes samples and returns every frame that they fill. */
  push(pcm: Int16Array): readonly Int16Array[];
  /** Returns the rest: a short frame, or none. The cutter is then as new. */
  flush(): readonly Int16Array[];
};

/**
 * Makes a cutter of frames of `samplesPerFrame`. A frame leaves as soon as it is full; only the last
 * one may be short, none is empty, no sample is lost. Throws a RangeError for a frame of no samples.
 */
export function createFrameCutter(samplesPerFrame: number): FrameCutter {
  if (!Number.isInteger(samplesPerFrame) || samplesPerFrame < 1) {
    throw new RangeError(`a frame must hold a whole number of samples: ${samplesPerFrame}`);
  }
  /** The incomplete frame, if any, and how many of its samples are there. */
  let begun: Int16Array | undefined;
  let filled = 0;

  const keep = (pcm: Int16Array) => {
    if (pcm.length === 0) return;
    begun ??= new Int16Array(samplesPerFrame);
    begun.set(pcm, filled);
    filled += pcm.length;
  };
  const take = (): readonly Int16Array[] => {
    const frame = begun?.subarray(0, filled);
    begun = undefined;
    filled = 0;
    return frame ? [frame] : [];
  };
  return {
    push(pcm) {
      const missing = begun ? samplesPerFrame - filled : 0;
      if (pcm.length < missing) {
        keep(pcm);
        return [];
      }
      keep(pcm.subarray(0, missing));
      const frames = [...take()];
      let at = missing;
      for (; at + samplesPerFrame <= pcm.length; at += samplesPerFrame) {
        frames.push(pcm.subarray(at, at + samplesPerFrame));
      }
      keep(pcm.subarray(at));
      return frames;
    },
    flush: take,
  };
}

/** The pieces as one. A single piece is returned as it is, not copied. */
export function joinPcm(pieces: readonly Int16Array[]): Int16Array {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return first;
  const joined = new Int16Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * The samples as bytes, little-endian, as on the wire and in files.
 * On little-endian machines (nearly all) the bytes share the samples' memory: they are not copied.
 */
export function bytesOf(pcm: Int16Array): Uint8Array {
  if (littleEndian) return new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const bytes = new Uint8Array(pcm.byteLength);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < pcm.length; index++) view.setInt16(index * 2, pcm[index] ?? 0, true);
  return bytes;
}

/**
 * The little-endian bytes as samples; a last odd byte is left out. The samples share the bytes'
 * memory where the machine is little-endian and the bytes begin at an even offset, else they are a
 * copy.
 */
export function samplesOf(bytes: Uint8Array): Int16Array {
  const length = bytes.byteLength >> 1;
  if (littleEndian && bytes.byteOffset % 2 === 0) {
    return new Int16Array(bytes.buffer, bytes.byteOffset, length);
  }
  const pcm = new Int16Array(length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let index = 0; index < length; index++) pcm[index] = view.getInt16(index * 2, true);
  return pcm;
}

/**
 * Holds back what does not fill a unit of `unitBytes` bytes, so that bytes which arrive in any cuts
 * leave in whole units. Never holds more than `unitBytes - 1` bytes.
 */
export function createAligner(unitBytes: number): (bytes: Uint8Array) => Uint8Array {
  let held = new Uint8Array(0);
  return (bytes) => {
    const joined = held.length === 0 ? bytes : concat(held, bytes);
    const whole = joined.length - (joined.length % unitBytes);
    held = joined.slice(whole);
    return joined.subarray(0, whole);
  };
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
