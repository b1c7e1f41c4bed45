import { describe, expect, it } from "vitest";
import { applyGain, createLoudnessMeter } from "./loudness.ts";

/** A sine of 48 kHz at a level in dBFS. */
function sine(hz: number, decibels: number, seconds: number): Int16Array {
  const peak = 0x7fff * 10 ** (decibels / 20);
  return Int16Array.from({ length: 48_000 * seconds }, (_, at) =>
    Math.round(peak * Math.sin((2 * Math.PI * hz * at) / 48_000)),
  );
}

function measure(...sounds: readonly Int16Array[]) {
  const meter = createLoudnessMeter();
  for (const sound of sounds) meter.push(sound);
  return meter;
}

describe("createLoudnessMeter", () => {
  it("measures what the standard says of a sine", () => {
    expect(measure(sine(997, 0, 3)).loudness()).toBeCloseTo(-3.01, 1);
    expect(measure(sine(997, -20, 3)).loudness()).toBeCloseTo(-23.01, 1);
  });

  it("weighs low tones less", () => {
    expect(measure(sine(40, -20, 3)).loudness()).toBeLessThan(-26);
  });

  it("leaves silence and far quieter passages out", () => {
    const meter = measure(sine(997, -20, 4), new Int16Array(48_000 * 4), sine(997, -60, 4));
    expect(meter.loudness()).toBeCloseTo(-23, 0);
    expect(measure(new Int16Array(48_000)).loudness()).toBeUndefined();
  });

  it("measures the same however the sound is cut", () => {
    const whole = sine(300, -18, 2);
    const pieces = Array.from({ length: 100 }, (_, at) => whole.subarray(at * 960, at * 960 + 960));
    expect(measure(...pieces).loudness()).toBeCloseTo(measure(whole).loudness() ?? 0, 6);
  });
});

describe("applyGain", () => {
  it("multiplies, and leaves sound alone where there is nothing to do", () => {
    const pcm = Int16Array.of(0, 100, -101, 3);
    expect(applyGain(pcm, 2)).toEqual(Int16Array.of(0, 200, -202, 6));
    expect(applyGain(pcm, 0.5)).toEqual(Int16Array.of(0, 50, -50, 2));
    expect(applyGain(pcm, 1)).toBe(pcm);
  });

  it("changes the gain within 5 ms, without a step", () => {
    const changed = applyGain(new Int16Array(480).fill(1_000), 1, 2);
    const steps = Array.from(
      changed.keys(),
      (at) => (changed[at] ?? 0) - (changed[at - 1] ?? 1_000),
    );
    expect(Math.max(...steps)).toBeLessThan(6);
    expect([changed[119], changed[239], changed[479]]).toEqual([1_500, 2_000, 2_000]);
  });

  it("bends what would be too loud, and never clips or wraps around", () => {
    const [loud = 0, louder = 0, loudest = 0] = applyGain(
      Int16Array.of(14_000, 20_000, -32_768),
      2,
    );
    expect(loud).toBeLessThan(28_000);
    expect(loud).toBeGreaterThan(26_214);
    expect(louder).toBeGreaterThan(loud);
    expect(loudest).toBeLessThan(-32_000);
  });
});
