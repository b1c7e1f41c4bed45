import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRange } from "./updates.ts";

describe("parseRange", () => {
  it.each([
    ["bytes=0-0", { start: 0, end: 0 }],
    ["bytes=0-", { start: 0, end: 99 }],
    ["bytes=10-19", { start: 10, end: 19 }],
    ["bytes=90-1000", { start: 90, end: 99 }],
    ["bytes=-10", { start: 90, end: 99 }],
    ["bytes=-1000", { start: 0, end: 99 }],
    ["Bytes= 1-2 ", { start: 1, end: 2 }],
  ])("reads %s", (header, range) => {
    expect(parseRange(header, 100)).toEqual(range);
  });

  it.each([
    "bytes=100-",
    "bytes=100-200",
    "bytes=5-2",
    "bytes=-0",
    "bytes=-",
    "bytes=",
    "bytes=a-b",
    "bytes=1",
    "bytes=--1",
    "bytes=1--2",
    "bytes=0x1-2",
    "bytes=1e1-20",
    `bytes=${"9".repeat(400)}-`,
  ])("does not serve %s", (header) => {
    expect(parseRange(header, 100)).toBe("unsatisfiable");
  });

  it.each([undefined, "", "items=0-1", "bytes", "bytes=0-1,2-3", "bytes=0-1, -5"])(
    "takes %j for the whole file",
    (header) => {
      expect(parseRange(header, 100)).toBeUndefined();
    },
  );

  it("never leaves the file, whatever is asked", () => {
    const texts = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.stringMatching(/^bytes=\d{0,20}-\d{0,20}$/),
      fc.tuple(fc.nat(), fc.nat()).map(([start, end]) => `bytes=${start}-${end}`),
    );
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 2 ** 40 }), (text, size) => {
        const range = parseRange(text, size);
        if (range === undefined || range === "unsatisfiable") return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeGreaterThanOrEqual(range.start);
        expect(range.end).toBeLessThan(size);
      }),
    );
  });

  it("returns the very bytes of every range within the file", () => {
    const ranges = fc
      .tuple(fc.integer({ min: 1, max: 10_000 }), fc.nat(), fc.nat())
      .map(([size, a, b]) => {
        const [start = 0, end = 0] = [a % size, b % size].sort((x, y) => x - y);
        return { size, start, end };
      });
    fc.assert(
      fc.property(ranges, ({ size, start, end }) => {
        expect(parseRange(`bytes=${start}-${end}`, size)).toEqual({ start, end });
        expect(parseRange(`bytes=${start}-`, size)).toEqual({ start, end: size - 1 });
        expect(parseRange(`bytes=-${size - start}`, size)).toEqual({ start, end: size - 1 });
      }),
    );
  });
});
