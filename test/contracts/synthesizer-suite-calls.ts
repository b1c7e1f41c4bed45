import { expect } from "vitest";
import type { EmulatorScript } from "../../emulators/script.ts";
import type { SpeechPart } from "../../server/models/synthesizer.ts";

/** What is spoken; no error may repeat it. */
export const sentence = "It costs three dollars, and that is all I know.";

/** A voice as the suite handles it. */
export type PlayedVoice = {
  play(script: EmulatorScript): void;
  speak(text: string, signal?: AbortSignal): AsyncIterable<SpeechPart>;
  /** Sentences in progress at the provider. */
  active(): number;
  /** Waits until there are none. */
  idle(): Promise<number>;
};

/** Expects sound at one rate, in whole parts, with timings that fit it. Returns its samples. */
export function expectSound(parts: readonly SpeechPart[], text: string): number {
  expect(parts.length).toBeGreaterThan(0);
  expect(parts.filter((part) => part.pcm.length === 0)).toEqual([]);
  const rates = new Set(parts.map((part) => part.sampleRateHz));
  expect(rates.size).toBe(1);
  const samples = parts.reduce((sum, part) => sum + part.pcm.length, 0);
  expectTimings(parts, { text, samples });
  return samples;
}

/** Expects each word at its place in the text, in order, and inside the audio. */
function expectTimings(
  parts: readonly SpeechPart[],
  { text, samples }: { text: string; samples: number },
): void {
  const words = parts.flatMap((part) => part.words ?? []);
  let textEnd = 0;
  let soundStart = 0;
  for (const { word, textStart, startSample, endSample } of words) {
    expect(text.slice(textStart, textStart + word.length)).toBe(word);
    expect(textStart).toBeGreaterThanOrEqual(textEnd);
    expect(startSample).toBeGreaterThanOrEqual(soundStart);
    expect(endSample).toBeGreaterThan(startSample);
    expect(endSample).toBeLessThanOrEqual(samples);
    textEnd = textStart + word.length;
    soundStart = startSample;
  }
}
