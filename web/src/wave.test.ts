import { array, assert, double, integer, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { Envelope, samplesPerLevel } from "./envelope.ts";
import { sliding, still } from "./wave-place.ts";

const levels = Array.from({ length: 100 }, (_, index) => index / 100);

describe("Envelope", () => {
  it("gives the same levels however the samples are cut", () => {
    const sample = integer({ min: -32768, max: 32767 });
    assert(
      property(array(sample), array(integer({ min: 1, max: 5000 })), (pattern, cuts) => {
        const pcm = Int16Array.from({ length: 4 * samplesPerLevel }, (_, index) =>
          pattern.length ? (pattern[index % pattern.length] ?? 0) : 0,
        );
        const whole = new Envelope();
        whole.push(pcm);
        const pieces = new Envelope();
        let from = 0;
        for (const cut of [...cuts, pcm.length]) {
          pieces.push(pcm.subarray(from, from + cut));
          from += cut;
        }
        expect(pieces.levels).toEqual(whole.levels);
        expect(whole.levels).toHaveLength(4);
      }),
      { numRuns: 20 },
    );
  });

  it("is 0 for silence and 1 for the loudest", () => {
    const envelope = new Envelope();
    envelope.push(new Int16Array(samplesPerLevel));
    envelope.push(new Int16Array(samplesPerLevel).fill(-32768));
    expect(envelope.levels).toEqual([0, 1]);
  });
});

describe("sliding", () => {
  it("keeps the sample that is heard in the middle", () => {
    const place = sliding({ levels, sample: 50 * samplesPerLevel }, 20);
    expect(place.bar(9)).toEqual({ level: 0.49, heard: true });
    expect(place.bar(10)).toEqual({ level: 0.5, heard: false });
    expect(place.offsetPx).toBe(0);
  });

  it("shows a quiet line where there is no audio", () => {
    const place = sliding({ levels, sample: 0 }, 20);
    expect(place.bar(0)).toEqual({ level: 0, heard: false });
    expect(sliding(undefined, 20).bar(3)).toEqual({ level: 0, heard: false });
  });
});

describe("still", () => {
  it("fills from the left, and only ever forward", () => {
    const share = double({ min: 0, max: 1, noNaN: true });
    assert(
      property(share, share, (a, b) => {
        const lit = (part: number) => {
          const place = still({ levels, sample: part * 100 * samplesPerLevel }, 30);
          return Array.from({ length: 30 }, (_, bar) => place.bar(bar).heard).lastIndexOf(true);
        };
        expect(lit(Math.max(a, b))).toBeGreaterThanOrEqual(lit(Math.min(a, b)));
        expect(lit(1)).toBe(29);
      }),
    );
  });

  it("does not stretch a short turn", () => {
    const place = still({ levels: [0.2, 0.7], sample: 0 }, 30);
    expect([0, 1, 2].map((bar) => place.bar(bar).level)).toEqual([0.2, 0.7, 0]);
  });
});
