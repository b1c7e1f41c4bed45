import { describe, expect, it } from "vitest";
import type { ModelSession } from "../worker/model-session.ts";
import { createSpeakerOver } from "./speaker.ts";

const sampleRateHz = 24_000;

/** A speaker whose model makes a tenth of a second of sound for each run, and counts its ids. */
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
  return { speaker: createSpeakerOver({ session, pronounce, styles, gain: 0.5 }), counts };
}

describe("createSpeakerOver", () => {
  it("speaks a clause in one run, and pauses after it", async () => {
    const { speaker, counts } = create(["w", "er", "d"]);
    const pcm = await speaker.speak("one two", 100);
    expect(speaker.sampleRateHz).toBe(sampleRateHz);
    expect(counts).toEqual([9]);
    expect(pcm.length).toBe(4_800);
    expect(pcm.subarray(2_400).every((sample) => sample === 0)).toBe(true);
  });

  it("speaks what is too long for one run in several, and pauses once", async () => {
    const { speaker, counts } = create(Array<string>(100).fill("b"));
    const pcm = await speaker.speak("one two three four five six seven", 100);
    expect(counts).toEqual([504, 201]);
    expect(pcm.length).toBeGreaterThanOrEqual(7_200);
    expect(pcm.length).toBeLessThan(7_300);
  });

  it("has a sample of silence for what has no phonemes", async () => {
    const { speaker, counts } = create([]);
    expect((await speaker.speak("one", 100)).length).toBe(1);
    expect(counts).toEqual([]);
  });
});
