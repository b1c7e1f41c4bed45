import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BLOCK_SAMPLES, createFrameCutter, samplesPerChunk } from "./frames.ts";

function cut(parts: readonly Int16Array[], length: number): readonly Int16Array[] {
  const cutter = createFrameCutter(length);
  return [...parts.flatMap((part) => cutter.push(part)), ...cutter.flush()];
}

describe("samplesPerChunk", () => {
  it.each([
    [32, 1536],
    [96, 4608],
    [100, 4608],
    [106, 4608],
    [107, 5120],
    [1000, 47_616],
  ])("rounds %d ms down to whole blocks: %d samples", (chunkMs, samples) => {
    expect(samplesPerChunk(chunkMs, 48_000)).toBe(samples);
    expect(samples % BLOCK_SAMPLES).toBe(0);
  });

  it("gives one block at least", () => {
    expect(samplesPerChunk(1, 48_000)).toBe(BLOCK_SAMPLES);
  });
});

describe("createFrameCutter", () => {
  it("cuts any parts into full frames and one short rest, losing nothing", () =>
    fc.assert(
      fc.property(
        fc.array(fc.int16Array({ maxLength: 40 })),
        fc.integer({ min: 1, max: 25 }),
        (parts, length) => {
          const frames = cut(parts, length);
          expect(frames.flatMap((frame) => [...frame])).toEqual(parts.flatMap((part) => [...part]));
          expect(frames.slice(0, -1).every((frame) => frame.length === length)).toBe(true);
          expect(frames.every((frame) => frame.length > 0 && frame.length <= length)).toBe(true);
        },
      ),
    ));

  it("lets a frame go as soon as it is full", () => {
    const cutter = createFrameCutter(3);
    const numbers = (part: number[]) => cutter.push(Int16Array.from(part)).map((it) => [...it]);
    expect(numbers([1, 2])).toEqual([]);
    expect(numbers([3, 4, 5, 6, 7, 8])).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(numbers([9])).toEqual([[7, 8, 9]]);
    expect(cutter.flush()).toEqual([]);
  });

  it("does not write into a frame that it let go", () => {
    const parts = [1, 2, 3, 4].map((sample) => Int16Array.of(sample));
    expect(cut(parts, 2).map((frame) => [...frame])).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it("is as new once it was flushed", () => {
    const cutter = createFrameCutter(3);
    cutter.push(Int16Array.of(1, 2, 3, 4));
    expect(cutter.flush().map((frame) => [...frame])).toEqual([[4]]);
    expect(cutter.push(Int16Array.of(5, 6, 7)).map((frame) => [...frame])).toEqual([[5, 6, 7]]);
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses a frame of %d samples", (length) => {
    expect(() => createFrameCutter(length)).toThrow(RangeError);
  });
});
