import { getEventListeners } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { TurnCancelled } from "../../core/async.ts";
import type { Synthesizer } from "../../models/synthesizer.ts";
import { createLocalVoice, createLocalWorkers } from "./dittli.ts";

// One process speaks for all tests; loading it takes longer than a test may.
const workerPool = createLocalWorkers("data/cache");
const voice = createLocalVoice({ transliterate: true, workerPool });
const latinVoice = createLocalVoice({ transliterate: false, workerPool });
const never = new AbortController().signal;
await Array.fromAsync(voice.synthesize("Ready.", {}, never));

const sampleRateHz = 44_100;
const sentence = "The quick brown fox jumps over the lazy dog near the river bank.";

/** All samples of a text, from -1 to 1. */
async function samplesOf(text: string, of: Synthesizer = voice): Promise<Float64Array> {
  const parts = await Array.fromAsync(of.synthesize(text, {}, never));
  for (const part of parts) expect(part.sampleRateHz).toBe(sampleRateHz);
  return Float64Array.from(
    parts.flatMap((part) => Array.from(part.pcm, (value) => value / 0x8000)),
  );
}

const secondsOf = async (text: string) => (await samplesOf(text)).length / sampleRateHz;

const largest = (values: Iterable<number>) => {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = Math.max(most, value);
  return most;
};

/** Lengths of the silences within the sound, in milliseconds. */
function silencesOf(samples: Float64Array): readonly number[] {
  const silences: number[] = [];
  let from = 0;
  samples.forEach((sample, at) => {
    if (Math.abs(sample) < 0.002) return;
    if (from > 0) silences.push(((at - from) * 1000) / sampleRateHz);
    from = at;
  });
  return silences;
}

describe("createLocalVoice", { timeout: 60_000 }, () => {
  it("speaks at a steady level, without clipping and without a click", async () => {
    for (const text of [sentence, "Yes, please do.", "Hush! She sells sea shells."]) {
      const samples = await samplesOf(text);
      const spoken = samples.filter((sample) => Math.abs(sample) > 0.001);
      const rms = Math.sqrt(
        spoken.reduce((sum, sample) => sum + sample * sample, 0) / spoken.length,
      );
      const steps = samples.map((sample, at) => Math.abs(sample - (samples[at - 1] ?? 0)));
      expect(20 * Math.log10(rms), text).toBeGreaterThan(-26);
      expect(20 * Math.log10(rms), text).toBeLessThan(-15);
      expect(largest(samples.map(Math.abs))).toBeLessThan(0.98);
      expect(largest(steps)).toBeLessThan(0.5);
    }
  });

  it("speaks every word, at a natural pace", async () => {
    const aWord = (await secondsOf(sentence)) / 13;
    expect(aWord).toBeGreaterThan(0.2);
    expect(aWord).toBeLessThan(0.6);
    const long = `${"one two three four five six seven eight nine ten ".repeat(3)}.`;
    const aNumber = (await secondsOf(long)) / 30;
    expect(aNumber).toBeGreaterThan(0.2);
    expect(aNumber).toBeLessThan(0.7);
  });

  it("is as long each time for the same text", async () => {
    const [first, second] = [await secondsOf(sentence), await secondsOf(sentence)];
    expect(second / first).toBeGreaterThan(0.9);
    expect(second / first).toBeLessThan(1.1);
  });

  it("pauses between clauses and sentences, but never for long", async () => {
    const silences = silencesOf(
      await samplesOf("When it is late, we go home. So do they. Good night."),
    );
    expect(silences.filter((ms) => ms > 80).length).toBeGreaterThanOrEqual(3);
    expect(largest(silences)).toBeLessThan(500);
  });

  it("speaks every text with a letter or digit", async () => {
    for (const text of ["a", "7", "№5", "ß", "²", "Ж", "猫", "$1", "A.", "'s", "x²", "٣"]) {
      const samples = await samplesOf(text);
      expect(largest(samples.map(Math.abs)), text).toBeGreaterThan(0.05);
    }
  });

  it("refuses a text without any", () =>
    expect(samplesOf("— 😀 …")).rejects.toMatchObject({ kind: "unsupported" }));

  it("refuses a text in another script before any audio, unless it may transliterate it", async () => {
    await expect(samplesOf("Привет, мир. Hi.", latinVoice)).rejects.toMatchObject({
      name: "ProviderError",
      provider: "local",
      kind: "language",
    });
    expect((await samplesOf("The word привет means hello.", latinVoice)).length).toBeGreaterThan(0);
    expect((await samplesOf("Привет, мир.")).length).toBeGreaterThan(sampleRateHz / 2);
  });

  it("keeps concurrent sentences apart", async () => {
    const texts = ["One.", sentence, "Two little words."];
    const alone: number[] = [];
    for (const text of texts) alone.push(await secondsOf(text));
    const together = await Promise.all(texts.map(secondsOf));
    together.forEach((seconds, at) => {
      expect(seconds / (alone[at] ?? 0)).toBeGreaterThan(0.8);
      expect(seconds / (alone[at] ?? 0)).toBeLessThan(1.25);
    });
  });

  it("leaves no pending call and no listener after 50 cancels, and still speaks", async () => {
    const controllers = Array.from({ length: 50 }, () => new AbortController());
    const calls = controllers.map(({ signal }) =>
      Array.fromAsync(voice.synthesize(sentence, {}, signal)),
    );
    const outcomes = Promise.allSettled(calls);
    await vi.waitFor(() => expect(workerPool.pendingCalls()).toBe(50));
    for (const controller of controllers) controller.abort(new TurnCancelled("interrupted"));
    for (const [at, outcome] of (await outcomes).entries()) {
      expect(outcome).toMatchObject({ reason: controllers[at]?.signal.reason });
    }
    expect(workerPool.pendingCalls()).toBe(0);
    for (const { signal } of controllers) {
      expect(getEventListeners(signal, "abort")).toEqual([]);
    }
    expect(await secondsOf("Yes.")).toBeGreaterThan(0.2);
  });
});
