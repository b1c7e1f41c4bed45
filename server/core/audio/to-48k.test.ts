import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createResampler } from "./resample.ts";
import { createConverter, type RatedPcm } from "./to-48k.ts";

function convert(parts: readonly RatedPcm[]): number[] {
  const converter = createConverter();
  return [...parts.flatMap((part) => [...converter.push(part)]), ...converter.flush()];
}

function resampled(pcm: Int16Array, fromHz: number): number[] {
  const resampler = createResampler(fromHz, 48_000);
  return [...resampler.push(pcm), ...resampler.flush()];
}

describe("createConverter", () => {
  it("converts the parts of one rate as if they had come in one piece", () =>
    fc.assert(
      fc.property(
        fc.constantFrom(8_000, 22_050, 44_100, 48_000),
        fc.array(fc.int16Array({ maxLength: 300 })),
        (sampleRateHz, parts) => {
          const whole = Int16Array.from(parts.flatMap((part) => [...part]));
          const joined = convert(parts.map((pcm) => ({ pcm, sampleRateHz })));
          expect(joined).toEqual(resampled(whole, sampleRateHz));
        },
      ),
      { numRuns: 40 },
    ));

  it("empties the filter where the rate changes", () => {
    const first = Int16Array.from({ length: 500 }, (_, at) => at);
    const second = Int16Array.from({ length: 400 }, (_, at) => -at);
    const third = Int16Array.of(7, 8, 9);
    const joined = convert([
      { pcm: first, sampleRateHz: 16_000 },
      { pcm: second, sampleRateHz: 24_000 },
      { pcm: third, sampleRateHz: 48_000 },
    ]);
    expect(joined).toEqual([...resampled(first, 16_000), ...resampled(second, 24_000), ...third]);
  });

  it("throws for a rate that no resampler knows", () =>
    expect(() => convert([{ pcm: new Int16Array(9), sampleRateHz: 0 }])).toThrow(RangeError));
});
