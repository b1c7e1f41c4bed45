import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  BLOCK_SAMPLES,
  bytesOf,
  createAligner,
  createConverter,
  createFrameCutter,
  type RatedPcm,
  samplesOf,
  samplesPerChunk,
} from "./pcm.ts";
import { createResampler } from "./resample.ts";

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

describe("bytesOf", () => {
  it("writes each sample little-endian", () =>
    expect([...bytesOf(Int16Array.of(1, -2, 0x1234))]).toEqual([1, 0, 254, 255, 0x34, 0x12]));

  it("covers a view's own samples only", () =>
    expect([...bytesOf(Int16Array.of(1, 2, 3).subarray(1, 2))]).toEqual([2, 0]));
});

describe("samplesOf", () => {
  it("reads what bytesOf wrote, from any offset", () =>
    fc.assert(
      fc.property(fc.int16Array(), fc.nat(3), (pcm, offset) => {
        const bytes = new Uint8Array(offset + pcm.byteLength);
        bytes.set(bytesOf(pcm), offset);
        expect([...samplesOf(bytes.subarray(offset))]).toEqual([...pcm]);
      }),
    ));

  it("copies nothing at an even offset", () => {
    const bytes = new Uint8Array([9, 9, 1, 0]);
    expect(samplesOf(bytes.subarray(2)).buffer).toBe(bytes.buffer);
  });

  it("leaves out a last odd byte", () =>
    expect([...samplesOf(Uint8Array.of(5, 0, 7))]).toEqual([5]));
});

describe("createAligner", () => {
  it("lets whole units go as soon as they are there", () => {
    const align = createAligner(3);
    expect([...align(Uint8Array.of(1, 2))]).toEqual([]);
    expect([...align(Uint8Array.of(3, 4, 5, 6, 7))]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...align(Uint8Array.of(8, 9))]).toEqual([7, 8, 9]);
  });

  it("does not see later changes of the bytes that it was given", () => {
    const align = createAligner(2);
    const bytes = Uint8Array.of(1);
    align(bytes);
    bytes[0] = 99;
    expect([...align(Uint8Array.of(2))]).toEqual([1, 2]);
  });
});
