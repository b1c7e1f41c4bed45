import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutIds, feedsOf, toIds } from "./model-input.ts";

describe("toIds", () => {
  it("numbers symbols as the model does, and leaves out what it lacks", () =>
    expect(toIds("həlˈO ✗wˈɜɹld.")).toEqual([
      50, 83, 54, 156, 31, 16, 65, 156, 87, 123, 54, 46, 4,
    ]));
});

describe("cutIds", () => {
  it("leaves alone what the model takes at once", () => {
    const ids = Array<number>(510).fill(44);
    expect(cutIds(ids)).toEqual([ids]);
    expect(cutIds([])).toEqual([]);
  });

  it("cuts between words", () => {
    const words = Array.from({ length: 1_000 }, (_, at) => (at % 10 === 9 ? 16 : 44));
    expect(cutIds(words).map((run) => run.length)).toEqual([509, 490]);
  });

  it("keeps every run short, in order, and loses spaces alone", () => {
    const ids = fc.array(fc.constantFrom(16, 44, 46), { maxLength: 2_000, size: "max" });
    fc.assert(
      fc.property(ids, (all) => {
        const runs = cutIds(all);
        const sounds = (some: readonly number[]) => some.filter((id) => id !== 16);
        expect(sounds(runs.flat())).toEqual(sounds(all));
        for (const run of runs) expect(run.length).toBeLessThanOrEqual(510);
        for (const run of runs) expect(run.length).toBeGreaterThan(0);
      }),
      { numRuns: 50 },
    );
  });
});

describe("feedsOf", () => {
  const styles = Float32Array.from({ length: 510 * 256 }, (_, at) => Math.floor(at / 256));

  it("puts the ids between two edges, with the voice's row for so many", () => {
    const { input_ids, style, speed } = feedsOf([44, 46, 4], styles);
    expect(input_ids).toEqual({ values: BigInt64Array.of(0n, 44n, 46n, 4n, 0n), shape: [1, 5] });
    expect(style).toEqual({ values: new Float32Array(256).fill(3), shape: [1, 256] });
    expect(speed).toEqual({ values: Float32Array.of(1), shape: [1] });
  });

  it("takes the last row for as many as the model takes", () => {
    const { style } = feedsOf(Array<number>(510).fill(44), styles);
    expect(style?.values).toEqual(new Float32Array(256).fill(509));
  });
});
