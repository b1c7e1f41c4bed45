import { type Kernel, kernelOf } from "./kernel.ts";

/** Turns PCM of one rate into PCM of another, part by part. */
export type Resampler = {
  /**
   * Takes the next samples and returns those that are ready, perhaps none: the filter looks
   * 32 samples of the lower rate ahead. May return `pcm` itself when the rates are equal.
   */
  push(pcm: Int16Array): Int16Array;
  /**
   * Returns the rest, so that `round(samplesIn * toHz / fromHz)` samples came out in all. The
   * resampler is then as new.
   */
  flush(): Int16Array;
};

const lowestOutputHz = 8_000;
const highestHz = 192_000;

/**
 * Creates a resampler from `fromHz` (a whole number, 1–192000) to `toHz` (8000–192000); throws a
 * RangeError otherwise.
 *
 * What comes out does not depend on how the input is cut, lies in time where the input lay (no
 * delay), and is clipped at the limits of 16 bits. What lies above half the lower rate is taken
 * out; what lies below 0.43 of it passes unchanged.
 */
export function createResampler(fromHz: number, toHz: number): Resampler {
  requireRate("fromHz", fromHz, 1);
  requireRate("toHz", toHz, lowestOutputHz);
  if (fromHz === toHz) return { push: (pcm) => pcm, flush: () => new Int16Array(0) };
  const divisor = greatestCommonDivisor(fromHz, toHz);
  return new PolyphaseResampler(toHz / divisor, fromHz / divisor);
}

function requireRate(name: string, rateHz: number, lowestHz: number): void {
  if (Number.isInteger(rateHz) && rateHz >= lowestHz && rateHz <= highestHz) return;
  throw new RangeError(
    `${name} must be a whole number from ${lowestHz} to ${highestHz}: ${rateHz}`,
  );
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

class PolyphaseResampler implements Resampler {
  readonly #up: number;
  readonly #down: number;
  readonly #kernel: Kernel;
  /** Input that is still needed, oldest first; `#filled` samples of it are valid. */
  #window: Float64Array;
  #filled = 0;
  /** The next output lies `#phase / #up` input samples behind the start of `#window`. */
  #phase = 0;
  readonly #sums = new Float64Array(4);
  #samplesIn = 0;
  #samplesOut = 0;

  constructor(up: number, down: number) {
    this.#up = up;
    this.#down = down;
    this.#kernel = kernelOf(up, down);
    this.#window = new Float64Array(this.#kernel.taps * 2);
    this.#reset();
  }

  push(pcm: Int16Array): Int16Array {
    this.#samplesIn += pcm.length;
    this.#append(pcm);
    return this.#run(this.#ready());
  }

  flush(): Int16Array {
    const total = Math.round((this.#samplesIn * this.#up) / this.#down);
    this.#append(new Int16Array(this.#kernel.taps / 2));
    const rest = this.#run(total - this.#samplesOut);
    this.#reset();
    return rest;
  }

  /** Silence before the first sample, so that the first output lies in the middle of its window. */
  #reset(): void {
    this.#filled = this.#kernel.taps / 2 - 1;
    this.#window.fill(0, 0, this.#filled);
    this.#phase = 0;
    this.#samplesIn = 0;
    this.#samplesOut = 0;
  }

  #append(pcm: Int16Array): void {
    const needed = this.#filled + pcm.length;
    if (needed > this.#window.length) {
      const larger = new Float64Array(needed + this.#kernel.taps);
      larger.set(this.#window.subarray(0, this.#filled));
      this.#window = larger;
    }
    this.#window.set(pcm, this.#filled);
    this.#filled = needed;
  }

  /** How many outputs have their whole window filled. */
  #ready(): number {
    const spare = this.#filled - this.#kernel.taps;
    if (spare < 0) return 0;
    return Math.max(0, Math.floor(((spare + 1) * this.#up - 1 - this.#phase) / this.#down) + 1);
  }

  #run(count: number): Int16Array {
    const output = new Int16Array(count);
    const used = this.#fill(output);
    this.#window.copyWithin(0, used, this.#filled);
    this.#filled -= used;
    this.#samplesOut += count;
    return output;
  }

  /** Computes `output` and returns how many input samples are no longer needed. */
  #fill(output: Int16Array): number {
    const inFours = this.#fillFours(output);
    let position = this.#phase + inFours * this.#down;
    for (let index = inFours; index < output.length; index++) {
      const start = Math.floor(position / this.#up);
      output[index] = clip(this.#sample(start, position - start * this.#up));
      position += this.#down;
    }
    const used = Math.min(Math.floor(position / this.#up), this.#filled);
    this.#phase = position - used * this.#up;
    return used;
  }

  /**
   * Computes what can be computed four at a time: every `#up` outputs the same row comes round, and
   * four sums over one row take far less time than four rows. Returns the number of outputs.
   */
  #fillFours(output: Int16Array): number {
    const up = this.#up;
    if (up > this.#kernel.phases) return 0;
    const count = output.length - (output.length % (up * 4));
    for (let block = 0; block < count; block += up * 4) {
      for (let index = block; index < block + up; index++) {
        const position = this.#phase + index * this.#down;
        const start = Math.floor(position / up);
        this.#sumFour(start, this.#kernel.rows[position - start * up] as Float64Array);
        for (let sum = 0; sum < 4; sum++) {
          output[index + sum * up] = clip(this.#sums[sum] as number);
        }
      }
    }
    return count;
  }

  /** The row's products with the window from `start` on, and from one, two and three turns later. */
  #sumFour(start: number, row: Float64Array): void {
    const window = this.#window;
    const step = this.#down;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let tap = 0, at = start; tap < row.length; tap++, at++) {
      // Within bounds all; `?? 0` in place of `as number` would cost a fifth of the speed.
      const factor = row[tap] as number;
      a += (window[at] as number) * factor;
      b += (window[at + step] as number) * factor;
      c += (window[at + 2 * step] as number) * factor;
      d += (window[at + 3 * step] as number) * factor;
    }
    this.#sums[0] = a;
    this.#sums[1] = b;
    this.#sums[2] = c;
    this.#sums[3] = d;
  }

  #sample(start: number, phase: number): number {
    const { phases, rows } = this.#kernel;
    const position = this.#up > phases ? (phase * phases) / this.#up : phase;
    const index = Math.floor(position);
    const sample = this.#sum(start, rows[index] as Float64Array);
    if (index === position) return sample;
    const next = this.#sum(start, rows[index + 1] as Float64Array);
    return sample + (next - sample) * (position - index);
  }

  /** As `#sumFour`, and in the same order, so that both give the same bits. */
  #sum(start: number, row: Float64Array): number {
    const window = this.#window;
    let sum = 0;
    for (let tap = 0, at = start; tap < row.length; tap++, at++) {
      sum += (window[at] as number) * (row[tap] as number);
    }
    return sum;
  }
}

/** The nearest whole number that 16 bits can hold. */
function clip(sample: number): number {
  if (sample >= 32_767) return 32_767;
  if (sample <= -32_768) return -32_768;
  return Math.round(sample);
}
