import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shapeAudio } from "./sound.ts";

const sampleRateHz = 44_100;
const perMs = sampleRateHz / 1000;

/** A tone with a noise floor of -60 dBFS around it, as the model makes it. */
function tone(leadMs: number, toneMs: number, tailMs: number, level = 0.5): Float32Array {
  const total = Math.round((leadMs + toneMs + tailMs) * perMs);
  return Float32Array.from({ length: total }, (_, at) => {
    const isTone = at >= leadMs * perMs && at < (leadMs + toneMs) * perMs;
    return isTone ? level * Math.sin(at / 20) : 0.001 * Math.sin(at / 3);
  });
}

const largestStep = (pcm: Int16Array) =>
  pcm.reduce((most, sample, at) => Math.max(most, Math.abs(sample - (pcm[at - 1] ?? 0))), 0);

describe("shapeAudio", () => {
  it("replaces the silence around the speech by the pause", () => {
    const pcm = shapeAudio(tone(200, 500, 430), { sampleRateHz, gain: 0.9, pauseMs: 120 });
    const ms = pcm.length / perMs;
    expect(ms).toBeGreaterThan(500 + 120);
    expect(ms).toBeLessThan(500 + 120 + 90);
    expect(pcm.slice(-Math.floor(120 * perMs)).every((sample) => sample === 0)).toBe(true);
  });

  it("begins and ends without a click", () => {
    const loud = Float32Array.from({ length: 20_000 }, () => 0.7);
    const pcm = shapeAudio(loud, { sampleRateHz, gain: 0.9, pauseMs: 10 });
    expect(largestStep(pcm)).toBeLessThan(300);
    expect(pcm[0]).toBe(0);
  });

  it("changes the level of a loud and of a quiet clause alike", () => {
    const peak = (level: number) =>
      Math.max(...shapeAudio(tone(50, 200, 50, level), { sampleRateHz, gain: 0.9, pauseMs: 0 }));
    expect(peak(0.4) / peak(0.1)).toBeCloseTo(4, 1);
  });

  it("never clips, whatever the samples are", () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 1, maxLength: 2_000 }), (samples) => {
        const pcm = shapeAudio(samples, { sampleRateHz, gain: 0.9, pauseMs: 0 });
        expect(pcm.length).toBeGreaterThan(0);
        for (const sample of pcm) expect(Math.abs(sample)).toBeLessThan(0x8000);
      }),
    );
    const pcm = shapeAudio(tone(0, 100, 0, 1.2), { sampleRateHz, gain: 0.9, pauseMs: 0 });
    const peaks = pcm.filter((sample) => Math.abs(sample) === 0x7fff).length;
    expect(peaks).toBeLessThan(pcm.length / 100);
  });

  it("is not empty for silence", () => {
    expect(shapeAudio(new Float32Array(0), { sampleRateHz, gain: 0.9, pauseMs: 0 }).length).toBe(1);
    expect(shapeAudio(new Float32Array(100), { sampleRateHz, gain: 0.9, pauseMs: 0 }).length).toBe(
      100,
    );
  });
});
