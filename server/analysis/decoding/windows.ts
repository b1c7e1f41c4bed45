import { createResampler, type Resampler } from "../../core/audio/resample.ts";
import { AnalysisError } from "../errors.ts";
import type { Pcm } from "./mono.ts";

/** The rate of all sound that models hear, in Hz. */
export const SAMPLE_RATE_HZ = 16_000;
/** Samples of a window: 4 s. */
export const WINDOW_SAMPLES = 64_000;

const LOWEST_HZ = 1000;
const HIGHEST_HZ = 192_000;
/** What a sum of many parts may be off by. */
const ROUNDING_SECONDS = 1e-6;

/** How much sound a file may hold. */
export type SoundLimits = { readonly maxSeconds: number };

/**
 * Cuts a file's sound into windows at 16 kHz; the last one is as short as what is left. Throws an
 * `AnalysisError` as soon as the file has more sound than it may have.
 */
export async function* toWindows(
  sound: AsyncIterable<Pcm>,
  limits: SoundLimits,
): AsyncGenerator<Int16Array> {
  let window = new Int16Array(WINDOW_SAMPLES);
  let filled = 0;
  for await (const pcm of toModelRate(sound, limits)) {
    for (let at = 0; at < pcm.length; ) {
      const part = pcm.subarray(at, at + WINDOW_SAMPLES - filled);
      window.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < WINDOW_SAMPLES) continue;
      yield window;
      window = new Int16Array(WINDOW_SAMPLES);
      filled = 0;
    }
  }
  if (filled > 0) yield window.subarray(0, filled);
}

/** Where the rate changes within a file, the filter begins anew. */
async function* toModelRate(
  sound: AsyncIterable<Pcm>,
  { maxSeconds }: SoundLimits,
): AsyncGenerator<Int16Array> {
  let resampler: Resampler | undefined;
  let rateHz = 0;
  let seconds = 0;
  for await (const { pcm, sampleRateHz } of sound) {
    if (sampleRateHz !== rateHz) {
      if (resampler) yield resampler.flush();
      resampler = openResampler(sampleRateHz);
      rateHz = sampleRateHz;
    }
    seconds += pcm.length / sampleRateHz;
    if (seconds > maxSeconds + ROUNDING_SECONDS) {
      throw new AnalysisError("too_large", `the file has more than ${maxSeconds} s of sound`);
    }
    if (resampler) yield resampler.push(pcm);
  }
  if (resampler) yield resampler.flush();
}

function openResampler(rateHz: number): Resampler {
  if (Number.isInteger(rateHz) && rateHz >= LOWEST_HZ && rateHz <= HIGHEST_HZ) {
    return createResampler(rateHz, SAMPLE_RATE_HZ);
  }
  const range = `${LOWEST_HZ}–${HIGHEST_HZ}`;
  throw new AnalysisError("invalid", `the file has ${rateHz} samples a second; ${range} are read`);
}
