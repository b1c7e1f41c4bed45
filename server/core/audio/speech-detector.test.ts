import { describe, expect, it } from "vitest";
import { createSpeechDetector, type SpeechChange } from "./speech-detector.ts";

const SAMPLES_A_MS = 16;

/** Hum that swells and fades four times a second, as syllables do. */
function voice(ms: number, amplitude = 4000): Int16Array {
  return Int16Array.from({ length: ms * SAMPLES_A_MS }, (_, at) => {
    const seconds = at / 16_000;
    const syllable = 0.6 - 0.4 * Math.cos(seconds * 8 * Math.PI);
    return amplitude * syllable * Math.sin(seconds * 2 * Math.PI * 180);
  });
}

/** The same noise in every run. */
function noise(ms: number, amplitude: number): Int16Array {
  let seed = 1;
  return Int16Array.from({ length: ms * SAMPLES_A_MS }, () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return (seed / 2 ** 30 - 1) * amplitude;
  });
}

const join = (...parts: readonly Int16Array[]) =>
  Int16Array.from(parts.flatMap((part) => [...part]));

function detect(pcm: Int16Array, { threshold = 0.5, pieceSamples = 320 } = {}) {
  const detector = createSpeechDetector({ threshold, silenceMs: 500 });
  const changes: SpeechChange[] = [];
  for (let at = 0; at < pcm.length; at += pieceSamples) {
    changes.push(...detector.push(pcm.subarray(at, at + pieceSamples)));
  }
  return changes.map(({ type, sample }) => [type, sample / SAMPLES_A_MS]);
}

describe("createSpeechDetector", () => {
  it("finds where speech begins, and that it is over after so much silence", () => {
    const changes = detect(join(noise(400, 30), voice(1000), noise(800, 30)));
    expect(changes.map(([type]) => type)).toEqual(["started", "stopped"]);
    expect(changes[0]?.[1]).toBeGreaterThanOrEqual(380);
    expect(changes[0]?.[1]).toBeLessThan(480);
    expect(changes[1]?.[1]).toBeGreaterThan(1_800);
    expect(changes[1]?.[1]).toBeLessThanOrEqual(1_960);
  });

  it("finds the same however the sound is cut", () => {
    const pcm = join(noise(300, 30), voice(600), noise(700, 30));
    expect(detect(pcm, { pieceSamples: 77 })).toEqual(detect(pcm));
    expect(detect(pcm, { pieceSamples: pcm.length })).toEqual(detect(pcm));
  });

  it("hears a pause within a sentence as no end", () => {
    const pcm = join(noise(300, 30), voice(500), noise(350, 30), voice(500), noise(700, 30));
    expect(detect(pcm).map(([type]) => type)).toEqual(["started", "stopped"]);
  });

  it.each<[string, Int16Array]>([
    ["silence", new Int16Array(32_000)],
    ["steady noise", noise(4000, 600)],
    ["noise that grows slowly", join(...[100, 140, 200, 280].map((level) => noise(3000, level)))],
    ["a click", join(noise(500, 30), noise(30, 20_000), noise(500, 30))],
    ["a microphone's constant part", new Int16Array(32_000).fill(9000)],
  ])("takes %s for no speech", (_, pcm) => {
    expect(detect(pcm)).toEqual([]);
  });

  it("finds speech over noise, by how far it stands out", () => {
    const overNoise = (amplitude: number) =>
      join(noise(1000, 600), voice(1000, amplitude), noise(900, 600));
    expect(detect(overNoise(6000))).toHaveLength(2);
    expect(detect(overNoise(2000), { threshold: 0 })).toHaveLength(2);
    expect(detect(overNoise(2000), { threshold: 1 })).toHaveLength(0);
  });

  it("follows a fan that was switched on", () => {
    const pcm = join(noise(1000, 30), noise(12_000, 600), voice(1000, 8000), noise(900, 600));
    expect(detect(pcm).at(-1)?.[0]).toBe("stopped");
  });
});
