import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createResampler } from "./resample.ts";

const ratesHz = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

function sine(length: number, wave: { frequencyHz: number; rateHz: number; peak?: number }) {
  const step = (2 * Math.PI * wave.frequencyHz) / wave.rateHz;
  return Float64Array.from({ length }, (_, at) => (wave.peak ?? 32_000) * Math.sin(step * at));
}

function resample(pcm: Int16Array, fromHz: number, toHz: number): Int16Array {
  const resampler = createResampler(fromHz, toHz);
  return Int16Array.from([...resampler.push(pcm), ...resampler.flush()]);
}

/** Signal to noise in dB against the ideal sine, in phase: a delay would count as noise. */
function snrDb(fromHz: number, toHz: number, frequencyHz: number): number {
  const seconds = 0.4;
  const input = Int16Array.from(
    sine(fromHz * seconds, { frequencyHz, rateHz: fromHz }),
    Math.round,
  );
  const output = resample(input, fromHz, toHz);
  const ideal = sine(output.length, { frequencyHz, rateHz: toHz });
  const edge = Math.ceil(40 * Math.max(1, toHz / fromHz));
  let signal = 0;
  let noise = 0;
  for (let at = edge; at < output.length - edge; at++) {
    const wanted = ideal[at] ?? 0;
    signal += wanted ** 2;
    noise += ((output[at] ?? 0) - wanted) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

function peakOf(pcm: Int16Array): number {
  return pcm.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
}

describe("createResampler", () => {
  it.each([
    [8_000, 300],
    [8_000, 3_400],
    [11_025, 4_700],
    [16_000, 440],
    [16_000, 7_000],
    [22_050, 440],
    [22_050, 7_000],
    [24_000, 440],
    [24_000, 7_000],
    [44_100, 440],
    [44_100, 7_000],
    [44_100, 18_000],
    [44_101, 7_000],
    [96_000, 7_000],
    [192_000, 7_000],
  ])("brings a sine from %i Hz to 48 kHz with 90 dB SNR: %i Hz", (fromHz, frequencyHz) =>
    expect(snrDb(fromHz, 48_000, frequencyHz)).toBeGreaterThan(90),
  );

  it.each([
    [48_000, 16_000, 6_800],
    [44_100, 16_000, 6_800],
    [191_999, 16_000, 6_800],
    [48_000, 8_000, 3_400],
  ])("brings a sine from %i Hz down to %i Hz with 90 dB SNR: %i Hz", (fromHz, toHz, frequencyHz) =>
    expect(snrDb(fromHz, toHz, frequencyHz)).toBeGreaterThan(90),
  );

  it("takes out what the lower rate cannot hold", () => {
    const wave = { frequencyHz: 10_000, rateHz: 48_000 };
    const output = resample(Int16Array.from(sine(9_600, wave)), 48_000, 16_000);
    expect(peakOf(output.subarray(100, -100))).toBeLessThan(2);
  });

  it("gives the same bits wherever the input is cut", () => {
    const rate = fc.oneof(fc.constantFrom(...ratesHz), fc.integer({ min: 1_000, max: 192_000 }));
    const parts = fc.array(fc.int16Array({ maxLength: 500 }), { maxLength: 8 });
    const toHz = fc.constantFrom(48_000, 16_000);
    fc.assert(
      fc.property(rate, toHz, parts, (fromHz, outHz, cut) => {
        const whole = Int16Array.from(cut.flatMap((part) => [...part]));
        const resampler = createResampler(fromHz, outHz);
        const joined = cut.flatMap((part) => [...resampler.push(part)]);
        expect([...joined, ...resampler.flush()]).toEqual([...resample(whole, fromHz, outHz)]);
      }),
      { numRuns: 100 },
    );
  }, 30_000);

  it("gives the same bits for samples that come one by one", () => {
    const input = Int16Array.from(sine(3_000, { frequencyHz: 500, rateHz: 22_050 }));
    const resampler = createResampler(22_050, 48_000);
    const joined = [...input].flatMap((sample) => [...resampler.push(Int16Array.of(sample))]);
    expect([...joined, ...resampler.flush()]).toEqual([...resample(input, 22_050, 48_000)]);
  });

  it("gives exactly round(samples * to / from) samples", () => {
    const rate = fc.integer({ min: 1_000, max: 192_000 });
    const toHz = fc.integer({ min: 8_000, max: 192_000 });
    fc.assert(
      fc.property(rate, toHz, fc.nat(1_000), (fromHz, outHz, length) => {
        const output = resample(new Int16Array(length), fromHz, outHz);
        expect(output.length).toBe(Math.round((length * outHz) / fromHz));
      }),
      { numRuns: 60 },
    );
  }, 30_000);

  it.each(ratesHz)("leaves a constant from %i Hz exactly constant, without a ripple", (fromHz) => {
    const output = resample(new Int16Array(2_000).fill(12_345), fromHz, 48_000);
    const edge = Math.ceil((32 * 48_000) / fromHz);
    expect(new Set(output.subarray(edge, -edge))).toEqual(new Set([12_345]));
  });

  it("clips at the limits of 16 bits instead of wrapping", () => {
    const square = Int16Array.from({ length: 800 }, (_, at) => (at % 80 < 40 ? 32_767 : -32_768));
    const output = resample(square, 16_000, 48_000);
    expect(Math.max(...output)).toBe(32_767);
    expect(Math.min(...output)).toBe(-32_768);
    // Between two input samples of one sign the output has that sign: nothing wrapped.
    for (let at = 0; at < output.length - 3; at++) {
      const before = Math.sign(square[Math.floor(at / 3)] ?? 0);
      const after = Math.sign(square[Math.ceil(at / 3)] ?? 0);
      if (before === after) expect(Math.sign(output[at] ?? 0)).toBe(before);
    }
  });

  it("passes equal rates through untouched", () => {
    const input = Int16Array.of(1, -2, 32_767, -32_768);
    expect(resample(input, 48_000, 48_000)).toEqual(input);
  });

  it("is as new after a flush", () => {
    const resampler = createResampler(24_000, 48_000);
    const input = Int16Array.from(sine(500, { frequencyHz: 300, rateHz: 24_000 }));
    const run = () => [...resampler.push(input), ...resampler.flush()];
    expect(run()).toEqual(run());
    expect(resampler.flush()).toHaveLength(0);
  });

  it.each([0, -1, 44_100.5, Number.NaN, 192_001])("refuses the rate %d", (rateHz) => {
    expect(() => createResampler(rateHz, 48_000)).toThrow(RangeError);
    expect(() => createResampler(48_000, rateHz)).toThrow(RangeError);
  });
});
