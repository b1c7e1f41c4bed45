import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createResampler } from "./resample.ts";
import { type RatedPcm, to48k } from "./to-48k.ts";

async function* from(parts: Iterable<RatedPcm>): AsyncGenerator<RatedPcm> {
  yield* parts;
}

async function convert(parts: Iterable<RatedPcm>): Promise<number[]> {
  const pieces = await Array.fromAsync(to48k(from(parts)));
  expect(pieces.every((piece) => piece.length > 0)).toBe(true);
  return pieces.flatMap((piece) => [...piece]);
}

function resampled(pcm: Int16Array, fromHz: number): number[] {
  const resampler = createResampler(fromHz, 48_000);
  return [...resampler.push(pcm), ...resampler.flush()];
}

describe("to48k", () => {
  it("converts the parts of one rate as if they had come in one piece", () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(8_000, 22_050, 44_100, 48_000),
        fc.array(fc.int16Array({ maxLength: 300 })),
        async (sampleRateHz, parts) => {
          const whole = Int16Array.from(parts.flatMap((part) => [...part]));
          const joined = await convert(parts.map((pcm) => ({ pcm, sampleRateHz })));
          expect(joined).toEqual(resampled(whole, sampleRateHz));
        },
      ),
      { numRuns: 40 },
    ));

  it("empties the filter where the rate changes", async () => {
    const first = Int16Array.from({ length: 500 }, (_, at) => at);
    const second = Int16Array.from({ length: 400 }, (_, at) => -at);
    const third = Int16Array.of(7, 8, 9);
    const joined = await convert([
      { pcm: first, sampleRateHz: 16_000 },
      { pcm: second, sampleRateHz: 24_000 },
      { pcm: third, sampleRateHz: 48_000 },
    ]);
    expect(joined).toEqual([...resampled(first, 16_000), ...resampled(second, 24_000), ...third]);
  });

  it("yields what the filter holds before it passes an error on", async () => {
    const pcm = Int16Array.from({ length: 100 }, (_, at) => at * 10);
    async function* broken() {
      yield { pcm, sampleRateHz: 24_000 };
      throw new Error("gone");
    }
    const seen: number[] = [];
    const read = async () => {
      for await (const piece of to48k(broken())) seen.push(...piece);
    };
    await expect(read()).rejects.toThrow("gone");
    expect(seen).toEqual(resampled(pcm, 24_000));
  });

  it("throws for a rate that no resampler knows", () =>
    expect(convert([{ pcm: new Int16Array(9), sampleRateHz: 0 }])).rejects.toThrow(RangeError));
});
