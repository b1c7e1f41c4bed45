import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ModelSession } from "../worker/model-session.ts";
import { createKokoroEngine, feedsOf, splitIds, toIds } from "./engine.ts";

const sampleRateHz = 24_000;

/** An engine whose model returns 100 ms of audio for each run, and counts its ids. */
function create(symbols: readonly string[]) {
  const counts: number[] = [];
  const session: Pick<ModelSession, "run"> = {
    async run({ input_ids }, output) {
      expect(output).toBe("waveform");
      counts.push((input_ids?.values.length ?? 0) - 2);
      return new Float32Array(2_400).fill(0.2);
    },
  };
  const word = { text: "word", symbols, tones: symbols.map(() => 0) };
  const pronounce = (text: string) => text.split(" ").map(() => word);
  const styles = new Float32Array(510 * 256);
  return { engine: createKokoroEngine({ session, pronounce, styles, gain: 0.5 }), counts };
}

describe("createKokoroEngine", () => {
  it("speaks a clause in one run, and pauses after it", async () => {
    const { engine, counts } = create(["w", "er", "d"]);
    const pcm = await engine.speak("one two", 100);
    expect(engine.sampleRateHz).toBe(sampleRateHz);
    expect(counts).toEqual([9]);
    expect(pcm.length).toBe(4_800);
    expect(pcm.subarray(2_400).every((sample) => sample === 0)).toBe(true);
  });

  it("splits a clause that is too long for one run, and pauses once", async () => {
    const { engine, counts } = create(Array<string>(100).fill("b"));
    const pcm = await engine.speak("one two three four five six seven", 100);
    expect(counts).toEqual([504, 201]);
    expect(pcm.length).toBeGreaterThanOrEqual(7_200);
    expect(pcm.length).toBeLessThan(7_300);
  });

  it("returns a sample of silence for a clause without phonemes", async () => {
    const { engine, counts } = create([]);
    expect((await engine.speak("one", 100)).length).toBe(1);
    expect(counts).toEqual([]);
  });
});

describe("toIds", () => {
  it("returns the ids of symbols, without unknown ones", () =>
    expect(toIds("həlˈO ✗wˈɜɹld.")).toEqual([
      50, 83, 54, 156, 31, 16, 65, 156, 87, 123, 54, 46, 4,
    ]));
});

describe("splitIds", () => {
  it("leaves up to 510 ids whole", () => {
    const ids = Array<number>(510).fill(44);
    expect(splitIds(ids)).toEqual([ids]);
    expect(splitIds([])).toEqual([]);
  });

  it("splits between words", () => {
    const words = Array.from({ length: 1_000 }, (_, at) => (at % 10 === 9 ? 16 : 44));
    expect(splitIds(words).map((run) => run.length)).toEqual([509, 490]);
  });

  it("keeps every run short, in order, and loses only spaces", () => {
    const ids = fc.array(fc.constantFrom(16, 44, 46), { maxLength: 2_000, size: "max" });
    fc.assert(
      fc.property(ids, (all) => {
        const runs = splitIds(all);
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

  it("pads the ids, and selects the voice's row by their number", () => {
    const { input_ids, style, speed } = feedsOf([44, 46, 4], styles);
    expect(input_ids).toEqual({ values: BigInt64Array.of(0n, 44n, 46n, 4n, 0n), shape: [1, 5] });
    expect(style).toEqual({ values: new Float32Array(256).fill(3), shape: [1, 256] });
    expect(speed).toEqual({ values: Float32Array.of(1), shape: [1] });
  });

  it("selects the last row for the maximum number of ids", () => {
    const { style } = feedsOf(Array<number>(510).fill(44), styles);
    expect(style?.values).toEqual(new Float32Array(256).fill(509));
  });
});
