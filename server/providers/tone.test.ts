import { describe, expect, it } from "vitest";
import { createToneVoice } from "./tone.ts";

const speak = (text: string, signal = new AbortController().signal) =>
  createToneVoice().synthesize(text, {}, signal);

async function samplesOf(text: string): Promise<number[]> {
  const parts = await Array.fromAsync(speak(text));
  return parts.flatMap((part) => [...part.pcm]);
}

describe("createToneVoice", () => {
  it.each([
    ["one word", "Hello", 0.3],
    ["four words", "One two three four.", 1.2],
    ["no word", "…", 0.3],
    ["two words without a space", "你好，世界", 0.6],
    ["far too many words", "word ".repeat(5_000), 10],
  ])("hums longer for more words: %s", async (_, text, seconds) =>
    expect((await samplesOf(text)).length).toBe(seconds * 48_000),
  );

  it("yields parts of 100 ms at 48 kHz", async () => {
    for await (const part of speak("One two")) {
      expect([part.pcm.length, part.sampleRateHz]).toEqual([4_800, 48_000]);
    }
  });

  it("peaks at about -20 dB of full scale and begins and ends without a click", async () => {
    const samples = await samplesOf("Three short words");
    const peak = Math.max(...samples.map(Math.abs));
    expect(20 * Math.log10(peak / 32_768)).toBeGreaterThan(-21);
    expect(20 * Math.log10(peak / 32_768)).toBeLessThanOrEqual(-20);
    const padded = [0, ...samples, 0];
    const steps = padded.slice(1).map((sample, at) => Math.abs(sample - (padded[at] ?? 0)));
    // Two sines of 196 and 294 Hz at half of the peak each cannot climb faster.
    expect(Math.max(...steps)).toBeLessThan((2 * Math.PI * (196 + 294) * 0.5 * peak) / 48_000 + 15);
    expect(Math.max(...steps.slice(0, 100), ...steps.slice(-100))).toBeLessThan(10);
  });
});
