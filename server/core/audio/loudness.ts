import { outputRateHz } from "./pcm.ts";

/** Measures loudness after ITU-R BS.1770-4, of mono sound at 48 kHz. */
export type LoudnessMeter = {
  /** Takes the next samples. About 10 ns a sample. */
  push(pcm: Int16Array): void;
  /**
   * The gated loudness of the last 30 s in LUFS; undefined while nothing but silence was measured. Sound
   * that is too short for a whole block of 400 ms counts as one.
   */
  loudness(): number | undefined;
  /** Seconds of sound, without silence, that the loudness is based on; 30 at most. */
  seconds(): number;
};

/** The block of 400 ms is made of four steps. */
const STEP_SAMPLES = outputRateHz / 10;
const STEPS_A_BLOCK = 4;
const STEPS_KEPT = 300;

/** The gates: absolute in LUFS, and relative to the loudness of what passes that one. */
const ABSOLUTE_GATE = -70;
const RELATIVE_GATE = -10;

/** Makes a meter that has measured nothing. */
export function createLoudnessMeter(): LoudnessMeter {
  const weigh = createKWeighting();
  /** Mean squares of the last steps, oldest first. */
  const steps: number[] = [];
  let squares = 0;
  let samples = 0;
  const close = () => {
    steps.push(squares / samples);
    if (steps.length > STEPS_KEPT) steps.shift();
    squares = 0;
    samples = 0;
  };
  return {
    push(pcm) {
      for (let at = 0; at < pcm.length; ) {
        const end = Math.min(pcm.length, at + STEP_SAMPLES - samples);
        squares += weigh(pcm, at, end);
        samples += end - at;
        at = end;
        if (samples === STEP_SAMPLES) close();
      }
    },
    loudness: () =>
      gated(steps.length === 0 && samples > 0 ? [squares / samples] : blocksOf(steps)),
    seconds: () =>
      (steps.filter((step) => toLufs(step) > ABSOLUTE_GATE).length * STEP_SAMPLES) / outputRateHz,
  };
}

function blocksOf(steps: readonly number[]): readonly number[] {
  if (steps.length < STEPS_A_BLOCK) return steps.length === 0 ? [] : [mean(steps)];
  return steps.slice(STEPS_A_BLOCK - 1).map((_, at) => mean(steps.slice(at, at + STEPS_A_BLOCK)));
}

function gated(blocks: readonly number[]): number | undefined {
  const heard = blocks.filter((block) => toLufs(block) > ABSOLUTE_GATE);
  if (heard.length === 0) return undefined;
  const gate = toLufs(mean(heard)) + RELATIVE_GATE;
  return toLufs(mean(heard.filter((block) => toLufs(block) > gate)));
}

function toLufs(meanSquare: number): number {
  return -0.691 + 10 * Math.log10(meanSquare);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The two filters of the standard at 48 kHz, a shelf for the head and a high-pass, as one pass. Returns
 * the sum of squares of the filtered samples, full scale being 1.
 */
function createKWeighting(): (pcm: Int16Array, from: number, to: number) => number {
  const states = new Float64Array(4);
  return (pcm, from, to) => {
    // Local variables: what a closure holds is several times slower.
    let [s1, s2, h1, h2] = states as unknown as [number, number, number, number];
    let squares = 0;
    for (let at = from; at < to; at++) {
      const x = (pcm[at] as number) / 0x8000;
      // Transposed direct form II: two states a filter.
      const shelf = 1.53512485958697 * x + s1;
      s1 = -2.69169618940638 * x + 1.69065929318241 * shelf + s2;
      s2 = 1.19839281085285 * x - 0.73248077421585 * shelf;
      const high = shelf + h1;
      h1 = -2 * shelf + 1.99004745483398 * high + h2;
      h2 = shelf - 0.99007225036621 * high;
      squares += high * high;
    }
    states.set([s1, s2, h1, h2]);
    return squares;
  };
}

/** Samples above this level are compressed, so that none clips. */
const KNEE = 0.8 * 0x8000;
const HEADROOM = 0x7fff - KNEE;

/** A gain changes within 5 ms. */
const RAMP_SAMPLES = outputRateHz / 200;

/**
 * The samples times a gain, which goes from `from` to `to` in a straight line of 5 ms. Loud peaks are
 * bent, not cut off. Returns `pcm` itself where both are 1.
 */
export function applyGain(pcm: Int16Array, from: number, to = from): Int16Array {
  if (from === 1 && to === 1) return pcm;
  const louder = new Int16Array(pcm.length);
  const step = (to - from) / RAMP_SAMPLES;
  let gain = from;
  for (let at = 0; at < pcm.length; at++) {
    if (at < RAMP_SAMPLES) gain += step;
    const sample = (pcm[at] as number) * gain;
    // Rounds as `Math.round` does, in a fifth of the time.
    louder[at] =
      sample > KNEE || sample < -KNEE ? bend(sample) : ((sample + 0x8000 + 0.5) | 0) - 0x8000;
  }
  return louder;
}

function bend(sample: number): number {
  const level = Math.abs(sample);
  return Math.round(Math.sign(sample) * (KNEE + HEADROOM * Math.tanh((level - KNEE) / HEADROOM)));
}
