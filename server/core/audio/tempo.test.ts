import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { joinPcm } from "./pcm.ts";
import { createTempoChanger } from "./tempo.ts";

const RATE_HZ = 48_000;

/** Seconds of a tone. */
const toneOf = (hz: number, seconds: number) =>
  Int16Array.from({ length: RATE_HZ * seconds }, (_, at) =>
    Math.round(8000 * Math.sin((2 * Math.PI * hz * at) / RATE_HZ)),
  );

function change(pcm: Int16Array, speed: number, partSamples = 4608): Int16Array {
  const tempo = createTempoChanger(RATE_HZ, speed);
  const parts: Int16Array[] = [];
  for (let at = 0; at < pcm.length; at += partSamples) {
    parts.push(tempo.push(pcm.subarray(at, at + partSamples)));
  }
  return joinPcm([...parts, tempo.flush()]);
}

const crossingsOf = (pcm: Int16Array) =>
  pcm.reduce((sum, sample, at) => sum + (sample >= 0 && (pcm[at - 1] ?? 0) < 0 ? 1 : 0), 0);

describe("createTempoChanger", () => {
  it.each([0.25, 0.5, 0.8, 1.25, 2, 4])(
    "takes as long as speed %s says, and keeps the pitch",
    (speed) => {
      const changed = change(toneOf(220, 2), speed);
      expect(changed.length).toBe(Math.round((2 * RATE_HZ) / speed));
      const hz = crossingsOf(changed) / (changed.length / RATE_HZ);
      expect(Math.abs(hz - 220)).toBeLessThan(220 * 0.02);
    },
  );

  it("has no clicks: a tone remains a tone", () => {
    const changed = change(toneOf(220, 1), 1.5).subarray(0, -2000);
    const steps = changed.map((sample, at) => Math.abs(sample - (changed[at - 1] ?? sample)));
    // The tone itself moves by 230 at most from one sample to the next.
    expect(Math.max(...steps)).toBeLessThan(400);
    const loudest = changed.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    expect(loudest).toBeLessThan(8500);
  });

  it("passes all through at speed 1", () => {
    const pcm = toneOf(220, 1);
    expect(change(pcm, 1)).toEqual(pcm);
  });

  it("does not depend on how the input is cut", () => {
    const pcm = toneOf(150, 0.3);
    const whole = change(pcm, 1.3, pcm.length);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (partSamples) => {
        expect(change(pcm, 1.3, partSamples)).toEqual(whole);
      }),
      { numRuns: 20 },
    );
  });

  it("makes of a text without sound nothing, and of less than a frame what belongs to it", () => {
    expect(createTempoChanger(RATE_HZ, 2).flush()).toHaveLength(0);
    expect(change(toneOf(220, 0.01), 2)).toHaveLength(240);
  });
});
