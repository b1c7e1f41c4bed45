import { describe, expect, it } from "vitest";
import { readSpelling, SAMPLES_A_LETTER } from "../../test/support/spelling-voice.ts";
import { ProviderError } from "../core/errors.ts";
import type { SpeechPart, Synthesizer } from "../models/synthesizer.ts";
import type { TierFailover, TierOutcome } from "../telemetry/activity.ts";
import { type AudioChunk, createFramer, speakText } from "./speech.ts";
import { createTier } from "./tier.ts";
import { wordsOf } from "./words.ts";

const timeouts = { firstPartMs: 1000, idleMs: 1000, totalMs: 1000 };
const TEXT = "One two three, four five six.";

type Scripted = {
  readonly name: string;
  /** Letters that it speaks before it fails; all of them if absent. */
  readonly failsAfter?: number;
  /** Letters after which it ends as if it were done. */
  readonly endsAfter?: number;
  readonly hasWordTimings?: boolean;
  readonly sampleRateHz?: number;
};

/** A voice that spells, tells when its words are heard, and fails after a number of letters. */
function voice({
  name,
  failsAfter,
  endsAfter,
  hasWordTimings = true,
  sampleRateHz = 48_000,
}: Scripted): Synthesizer {
  const samples = (letters: number) => (letters * SAMPLES_A_LETTER * sampleRateHz) / 48_000;
  async function* synthesize(text: string): AsyncGenerator<SpeechPart> {
    const words = wordsOf(text).map(({ word, textStart }) => ({
      word,
      textStart,
      startSample: samples(textStart),
      endSample: samples(textStart + word.length),
    }));
    for (let at = 0; at < text.length; at++) {
      if (at === endsAfter) return;
      if (at === failsAfter) throw new ProviderError(name, "server", "went away");
      const pcm = new Int16Array(samples(1)).fill(text.charCodeAt(at));
      yield { pcm, sampleRateHz, ...(hasWordTimings && at === 0 && { words }) };
    }
  }
  return { name, hasWordTimings, synthesize };
}

async function speak(...voices: readonly Scripted[]) {
  const outcomes: TierOutcome[] = [];
  const tiers = voices.map((each) => createTier(voice(each), timeouts));
  const failovers: TierFailover[] = [];
  const run = {
    tiers,
    samplesPerChunk: 512,
    onOutcome: (outcome: TierOutcome) => outcomes.push(outcome),
    onFailover: (change: TierFailover) => failovers.push(change),
  };
  const chunks: AudioChunk[] = [];
  const signal = new AbortController().signal;
  for await (const ready of speakText(run, { text: TEXT, voice: {} }, signal))
    chunks.push(...ready);
  const words = chunks.flatMap((chunk) => chunk.words ?? []);
  return { outcomes, failovers, words, spoken: readSpelling(chunks.map(({ pcm }) => pcm)) };
}

describe("speakText", () => {
  it("tells every word once, where it is heard", async () => {
    const { words, spoken } = await speak({ name: "a" });
    expect(spoken).toBe(TEXT);
    expect(words.map(({ word }) => word)).toEqual(["One", "two", "three", "four", "five", "six"]);
    for (const { word, startSample, endSample } of words) {
      expect(spoken.slice(startSample / SAMPLES_A_LETTER, endSample / SAMPLES_A_LETTER)).toBe(word);
    }
  });

  it("has each word heard once, wherever the first voice fails", async () => {
    for (let failsAfter = 0; failsAfter < TEXT.length; failsAfter++) {
      const { spoken, words } = await speak({ name: "a", failsAfter }, { name: "b" });
      // What stands between two words may be heard twice or not: marks and white space are silent.
      expect(spoken.match(/\w+/g), `fails after ${failsAfter}`).toEqual(TEXT.match(/\w+/g));
      expect(words.map(({ word }) => word)).toEqual(TEXT.match(/\w+/g));
      for (const { word, startSample, endSample } of words) {
        expect(spoken.slice(startSample / SAMPLES_A_LETTER, endSample / SAMPLES_A_LETTER)).toBe(
          word,
        );
      }
    }
  });

  it("has each word heard once, wherever the first voice ends early as if it were done", async () => {
    for (let endsAfter = 4; endsAfter < TEXT.length; endsAfter++) {
      const { spoken, words } = await speak({ name: "a", endsAfter }, { name: "b" });
      const heard = spoken.match(/\w+/g);
      // A last word that is cut short is taken to be said: its timing may have been rounded.
      if (TEXT.slice(endsAfter).trim().length > 4) expect(heard).toEqual(TEXT.match(/\w+/g));
      expect(words.map(({ word }) => word)).toEqual(TEXT.match(/\w+/g));
    }
  });

  it("hands over from voice to voice to voice", async () => {
    const { spoken, failovers } = await speak(
      { name: "a", failsAfter: 5 },
      { name: "b", failsAfter: 12 },
      { name: "c" },
    );
    expect(spoken.match(/\w+/g)).toEqual(TEXT.match(/\w+/g));
    expect(failovers).toEqual([
      { from: "a", to: "b", midway: true },
      { from: "b", to: "c", midway: true },
    ]);
  });

  it("asks nobody else when the voice fails after its last word", async () => {
    const { outcomes } = await speak({ name: "a", failsAfter: TEXT.length - 1 }, { name: "b" });
    expect(outcomes.map(({ tier }) => tier)).toEqual(["a"]);
  });

  it("keeps count of samples when the next voice has another rate", async () => {
    const { words } = await speak(
      { name: "a", failsAfter: 9, sampleRateHz: 24_000 },
      { name: "b", sampleRateHz: 16_000 },
    );
    const starts = words.map(({ startSample }) => startSample / SAMPLES_A_LETTER);
    // The space between "two" and "three" is heard from both voices.
    expect(starts).toEqual([0, 4, 9, 16, 21, 26]);
  });

  it("goes on at a word when a voice that tells no timings fails, by the samples that it gave", async () => {
    const { words } = await speak(
      { name: "a", failsAfter: 14, hasWordTimings: false },
      { name: "b" },
    );
    expect(words.map(({ word }) => word)).toEqual(TEXT.match(/\w+/g));
  });

  it("throws the causes when no voice can end the text", async () => {
    await expect(speak({ name: "a", failsAfter: 5 }, { name: "b", failsAfter: 0 })).rejects.toThrow(
      "a: went away; b: went away",
    );
  });

  /** Speaks 1,700 samples of each word, then fails. */
  const failing: Synthesizer = {
    name: "failing",
    async *synthesize(text) {
      const pcm = new Int16Array(1700).fill(9);
      for (const _ of text.split(" ")) yield { pcm, sampleRateHz: 48_000 };
      throw new ProviderError("failing", "server", "went away");
    },
  };

  it("sends all that a voice had said before it passes its failure on", async () => {
    const run = { tiers: [createTier(failing, timeouts)], samplesPerChunk: 1536 };
    const lengths: number[] = [];
    const read = async () => {
      const text = { text: "one two three", voice: {} };
      for await (const ready of speakText(run, text, new AbortController().signal)) {
        lengths.push(...ready.map(({ pcm }) => pcm.length));
      }
    };
    await expect(read()).rejects.toThrow("went away");
    expect(lengths).toEqual([1536, 1536, 1536, 492]);
  });
});

describe("createFramer", () => {
  const sound = (samples: number) => ({
    pcm: new Int16Array(samples).fill(5),
    sampleRateHz: 48_000,
  });
  const word = { word: "Hi", textStart: 0, startSample: 0, endSample: 9 };

  it("has sound left for words that come at the end, if it holds the newest sample", () => {
    for (const [holdsLast, left] of [
      [true, [[512, 1]]],
      [false, []],
    ] as const) {
      const framer = createFramer(512, holdsLast);
      const sent = framer.push(sound(512));
      framer.addWords([word]);
      const rest = framer.flush().map(({ pcm, words = [] }) => [pcm.length, words.length]);
      expect([sent.length, rest]).toEqual([holdsLast ? 0 : 1, left]);
    }
  });

  it("counts samples of 48 kHz, those included that fill no chunk", () => {
    const framer = createFramer(512);
    framer.push({ pcm: new Int16Array(100), sampleRateHz: 24_000 });
    framer.endVoice();
    expect(framer.samples()).toBe(200);
  });
});
