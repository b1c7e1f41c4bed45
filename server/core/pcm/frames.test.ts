import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frames } from "./frames.ts";

async function* from(parts: Iterable<Int16Array>): AsyncGenerator<Int16Array> {
  yield* parts;
}

describe("frames", () => {
  it("cuts any parts into full frames and one short rest, losing nothing", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.int16Array({ maxLength: 40 })),
        fc.integer({ min: 1, max: 25 }),
        async (parts, length) => {
          const cut = await Array.fromAsync(frames(from(parts), length));
          expect(cut.flatMap((frame) => [...frame])).toEqual(parts.flatMap((part) => [...part]));
          expect(cut.slice(0, -1).every((frame) => frame.length === length)).toBe(true);
          expect(cut.every((frame) => frame.length > 0 && frame.length <= length)).toBe(true);
        },
      ),
    ));

  it("lets a frame go before it pulls another part", async () => {
    let pulled = 0;
    async function* parts() {
      for (const part of [[1, 2], [3, 4, 5, 6, 7, 8], [9]]) {
        pulled++;
        yield Int16Array.from(part);
      }
    }
    const seen: [number[], number][] = [];
    for await (const frame of frames(parts(), 3)) seen.push([[...frame], pulled]);
    expect(seen).toEqual([
      [[1, 2, 3], 2],
      [[4, 5, 6], 2],
      [[7, 8, 9], 3],
    ]);
  });

  it("does not write into a frame that it let go", async () => {
    const parts = [Int16Array.of(1), Int16Array.of(2), Int16Array.of(3), Int16Array.of(4)];
    const cut = await Array.fromAsync(frames(from(parts), 2));
    expect(cut.map((frame) => [...frame])).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it("yields the samples that arrived before it passes an error on", async () => {
    async function* broken() {
      yield Int16Array.of(1, 2, 3);
      throw new Error("gone");
    }
    const seen: number[][] = [];
    const read = async () => {
      for await (const frame of frames(broken(), 2)) seen.push([...frame]);
    };
    await expect(read()).rejects.toThrow("gone");
    expect(seen).toEqual([[1, 2], [3]]);
  });

  it("returns its source when its reader leaves", async () => {
    let returned = false;
    async function* endless() {
      try {
        for (;;) yield new Int16Array(7);
      } finally {
        returned = true;
      }
    }
    for await (const _ of frames(endless(), 3)) break;
    expect(returned).toBe(true);
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses a frame of %d samples", (length) => {
    expect(() => frames(from([]), length)).toThrow(RangeError);
  });
});
