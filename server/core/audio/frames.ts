/** Samples that the native client plays at once. It fills what a chunk leaves over with zeros. */
export const BLOCK_SAMPLES = 512;

/**
 * Samples of a chunk of `chunkMs` milliseconds at `rateHz`, rounded down to whole blocks; one block
 * at least.
 */
export function samplesPerChunk(chunkMs: number, rateHz: number): number {
  const blocks = Math.floor((rateHz * chunkMs) / 1000 / BLOCK_SAMPLES);
  return Math.max(1, blocks) * BLOCK_SAMPLES;
}

/** Cuts samples into frames of one length. What it answers may share memory with what it was given. */
export type FrameCutter = {
  /** Takes samples in; answers every frame that they fill. */
  push(pcm: Int16Array): readonly Int16Array[];
  /** Answers what is left: a short frame, or none. The cutter is then as new. */
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
  /** The frame that was begun, if any, and how many of its samples are there. */
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
