import { sampleRateHz } from "./ring-messages.ts";

/** Samples under one bar of the wave: 40 ms. */
export const samplesPerLevel = (sampleRateHz * 40) / 1000;

// Speech of ordinary loudness fills the height; the square root lifts the quiet parts.
const loud = 12_000;

/** How loud a turn's audio is, one level every 40 ms. */
export class Envelope {
  readonly #levels: number[] = [];
  #peak = 0;
  #count = 0;

  /** Levels from 0 to 1, the first the oldest. */
  get levels(): readonly number[] {
    return this.#levels;
  }

  /** Adds samples, in any cuts. */
  push(pcm: Int16Array): void {
    for (const sample of pcm) {
      this.#peak = Math.max(this.#peak, Math.abs(sample));
      if (++this.#count === samplesPerLevel) this.#next();
    }
  }

  #next(): void {
    this.#levels.push(Math.sqrt(Math.min(1, this.#peak / loud)));
    this.#peak = 0;
    this.#count = 0;
  }
}
