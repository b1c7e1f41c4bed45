import { beforeEach, describe, expect, it } from "vitest";
import { readSpelling, SAMPLES_A_LETTER } from "../../test/support/spelling-voice.ts";
import { createLoudnessMeter } from "../core/audio/loudness.ts";
import { ProviderError } from "../core/errors.ts";
import type { ProviderErrorKind } from "../core/outcomes.ts";
import type { SpeechPart, Synthesizer } from "../models/synthesizer.ts";
import type { TierFailover, TierOutcome } from "../telemetry/activity.ts";
import { type AudioChunk, createFramer } from "./framer.ts";
import { speakText } from "./speech.ts";
import { createTier } from "./tier.ts";
import { overloadOf } from "./voices.ts";
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

/** A voice that hums each text with a tone of its own, so long, so loud; perhaps it breaks off. */
function humming(
  name: string,
  hum: { hz?: number; peak: number; seconds: number; breaksOff?: boolean },
): Synthesizer {
  const { hz = 440, peak, seconds, breaksOff } = hum;
  return {
    name,
    async *synthesize() {
      for (let part = 0; part < seconds * 10; part++) {
        const pcm = Int16Array.from({ length: 4_800 }, (_, at) =>
          Math.round(peak * Math.sin((2 * Math.PI * hz * (part * 4_800 + at)) / 48_000)),
        );
        yield { pcm, sampleRateHz: 48_000 };
      }
      if (breaksOff) throw new ProviderError(name, "server", "went away");
    },
  };
}

/** Speaks texts one after the other, and tells what each tier was heard with. */
async function hear(voices: readonly Synthesizer[], texts: readonly string[], language?: string) {
  const outcomes: TierOutcome[] = [];
  const tiers = voices.map((each) => createTier(each, timeouts));
  const chunks: AudioChunk[] = [];
  const run = {
    tiers,
    samplesPerChunk: 512,
    onOutcome: (outcome: TierOutcome) => outcomes.push(outcome),
  };
  const voice = language === undefined ? {} : { language };
  for (const text of texts) {
    const signal = new AbortController().signal;
    for await (const ready of speakText(run, { text, voice }, signal)) chunks.push(...ready);
  }
  const by = (tier: string) =>
    Int16Array.from(
      chunks.flatMap(({ synthesizer, pcm }) => (synthesizer === tier ? Array.from(pcm) : [])),
    );
  return {
    outcomes,
    chunks,
    by,
    pcm: Int16Array.from(chunks.flatMap(({ pcm }) => Array.from(pcm))),
  };
}

function loudnessOf(pcm: Int16Array): number {
  const meter = createLoudnessMeter();
  meter.push(pcm);
  return meter.loudness() ?? Number.NaN;
}

const LONG = "The train to the harbour leaves from platform nine at half past seven tonight.";

describe("speakText, with voices of different loudness", () => {
  const loud = () => humming("loud", { peak: 16_000, seconds: 2, breaksOff: true });
  const quiet = () => humming("quiet", { hz: 500, peak: 1_500, seconds: 3 });

  it("brings both within 2 LU of each other, from the hand-over on", async () => {
    const { by } = await hear([loud(), quiet()], [LONG]);
    expect(Math.abs(loudnessOf(by("loud")) - loudnessOf(by("quiet")))).toBeLessThan(2);
    const first = by("quiet").subarray(480, 9_600);
    expect(Math.abs(loudnessOf(first) - loudnessOf(by("loud")))).toBeLessThan(2);
  });

  it("holds the gain of each within a reply", async () => {
    const { by } = await hear([quiet(), loud()], Array<string>(6).fill(LONG));
    const texts = Array.from({ length: 6 }, (_, at) =>
      loudnessOf(by("quiet").subarray(at * 144_000 + 480, (at + 1) * 144_000)),
    );
    expect(Math.max(...texts) - Math.min(...texts)).toBeLessThan(0.1);
  });

  it("touches no sample of the only voice", async () => {
    const { by } = await hear([quiet()], [LONG]);
    expect(by("quiet").reduce((most, sample) => Math.max(most, sample), 0)).toBe(1_500);
  });

  it("fades 5 ms at a hand-over, and nowhere else", async () => {
    const constant = (name: string, breaksOff: boolean): Synthesizer => ({
      name,
      async *synthesize() {
        yield { pcm: new Int16Array(72_000).fill(1_000), sampleRateHz: 48_000 };
        if (breaksOff) throw new ProviderError(name, "server", "went away");
      },
    });
    const { pcm } = await hear([constant("a", true), constant("b", false)], [LONG]);
    const changed = Array.from(pcm.keys()).filter((at) => pcm[at] !== 1_000);
    expect([changed[0], changed.at(-1)]).toEqual([72_000 - 240, 72_000 + 239]);
    const steps = Array.from(pcm.keys())
      .slice(1)
      .map((at) => Math.abs((pcm[at] ?? 0) - (pcm[at - 1] ?? 0)));
    expect(steps.every((step) => step < 10)).toBe(true);
  });
});

describe("speakText, with a voice that does not say the text", () => {
  const RUSSIAN = "Поезд отправляется в девять часов вечера с четвёртого пути.";
  const good = () => humming("good", { peak: 3_000, seconds: 4 });
  const silent = (seconds: number) => humming("bad", { peak: 0, seconds });

  it.each([
    ["silence", silent(1)],
    ["an hour of zeros", silent(3_600)],
    ["sound far too short", humming("bad", { peak: 3_000, seconds: 0.1 })],
  ])("lets the next voice say all of it after %s", async (_, bad) => {
    const { outcomes, by } = await hear([bad, good()], [RUSSIAN], "ru");
    expect(outcomes.map(({ tier, error }) => [tier, error?.kind])).toEqual([
      ["bad", "language"],
      ["good", undefined],
    ]);
    expect(by("bad")).toHaveLength(0);
    expect(by("good")).toHaveLength(4 * 48_000);
  });

  it("takes a text for broken off that is far shorter than this voice has taken before", async () => {
    let texts = 0;
    const half: Synthesizer = {
      name: "half",
      synthesize: (text, voice, signal) =>
        humming("half", { peak: 3_000, seconds: ++texts > 2 ? 2 : 5 }).synthesize(
          text,
          voice,
          signal,
        ),
    };
    const { outcomes, chunks } = await hear([half, good()], [LONG, LONG, LONG], "en");
    expect(outcomes.map(({ tier }) => tier)).toEqual(["half", "half", "half", "good"]);
    const words = chunks.flatMap((chunk) => chunk.words ?? []).map(({ word }) => word);
    expect(words.join(" ")).toBe(
      Array(3)
        .fill(LONG.replaceAll(/[^\w ]/g, ""))
        .join(" "),
    );
  });
});

describe("speakText, with voices of other languages", () => {
  const asked: string[] = [];
  const speaking = (name: string, more: Partial<Synthesizer> = {}): Synthesizer => ({
    name,
    synthesize(text, voice, signal) {
      asked.push(name);
      return humming(name, { peak: 3_000, seconds: 3 }).synthesize(text, voice, signal);
    },
    ...more,
  });
  const english = () => speaking("english", { languages: ["en"] });
  const russian = () => speaking("russian", { languages: ["ru"] });
  const hum = () => speaking("hum", { isLastResort: true });
  const down = (name: string, kind: ProviderErrorKind): Synthesizer => ({
    name,
    // biome-ignore lint/correctness/useYield: it fails before any sound.
    async *synthesize() {
      throw new ProviderError(name, kind, "failed");
    },
  });
  beforeEach(() => asked.splice(0));

  it.each([
    ["ru-RU", ["russian"]],
    ["en-GB", ["english"]],
    ["fr", []],
  ])("asks for %s only those that speak it", async (language, voices) => {
    const run = hear([english(), russian(), hum()], [LONG], language);
    await (voices.length > 0 ? run : expect(run).rejects.toThrow("does not speak this language"));
    expect(asked).toEqual(voices);
  });

  it("goes by the script where the language is not known", async () => {
    await hear([russian(), english()], ["Yes.", "Да."]);
    expect(asked).toEqual(["english", "russian"]);
  });

  it("asks a voice that the client names in the text's language", async () => {
    const text = { text: LONG, voice: { language: "fi", name: "fi-FI-NooraNeural" } };
    const run = { tiers: [createTier(english(), timeouts)], samplesPerChunk: 512 };
    await Array.fromAsync(speakText(run, text, new AbortController().signal));
    expect(asked).toEqual(["english"]);
  });

  it("does not ask a voice again for a language that it answers with silence, and others it does", async () => {
    const mute: Synthesizer = {
      name: "mute",
      synthesize(text, voice, signal) {
        asked.push(`mute ${voice.language}`);
        return humming("mute", {
          peak: voice.language === "ru" ? 0 : 3_000,
          seconds: 3,
        }).synthesize(text, voice, signal);
      },
    };
    const other = speaking("other");
    await hear([mute, other], [LONG, LONG, LONG], "ru");
    await hear([mute, other], [LONG], "en");
    expect(asked).toEqual(["mute ru", "other", "mute ru", "other", "other", "mute en"]);
  });

  it("hums where every voice is down, and not where they lack the language", async () => {
    await hear([down("a", "server"), hum()], [LONG]);
    expect(asked).toEqual(["hum"]);
    await expect(hear([down("a", "language"), hum()], [LONG])).rejects.toThrow("failed");
    expect(asked).toEqual(["hum"]);
    await hear([hum()], [LONG]);
    expect(asked).toEqual(["hum", "hum"]);
  });
});

describe("overloadOf", () => {
  const busy = (overloadMs: number): Synthesizer => ({
    ...humming("busy", { peak: 1, seconds: 1 }),
    overloadMs: () => overloadMs,
  });
  const free = humming("free", { peak: 1, seconds: 1 });
  const of = (...voices: readonly Synthesizer[]) =>
    overloadOf(voices.map((each) => createTier(each, timeouts)))?.message;

  it("refuses a turn only if every voice that is up has too much to say", () => {
    expect(of(busy(4_200), busy(9_000))).toBe("the voices have too much to say; retry in 5 s");
    expect(of(busy(4_200), { ...free, isLastResort: true })).toContain("retry in 5 s");
    expect(of(busy(4_200), free)).toBeUndefined();
    expect(of(busy(0))).toBeUndefined();
    expect(of()).toBeUndefined();
  });
});

describe("speakText, with a voice that promises timings and gives none", () => {
  it("says no sentence twice: what was heard of it is estimated", async () => {
    const promising = {
      ...humming("a", { peak: 3_000, seconds: 1.6, breaksOff: true }),
      hasWordTimings: true,
    };
    const texts: string[] = [];
    const next: Synthesizer = {
      name: "b",
      synthesize(text, voice, signal) {
        texts.push(text);
        return humming("b", { peak: 3_000, seconds: 3 }).synthesize(text, voice, signal);
      },
    };
    await hear([promising, next], [LONG]);
    expect(LONG.endsWith(texts[0] ?? "none")).toBe(true);
    expect(LONG.length - (texts[0]?.length ?? 0)).toBeGreaterThan(10);
    expect(LONG.length - (texts[0]?.length ?? 0)).toBeLessThan(30);
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
      const framer = createFramer(512, holdsLast ? 1 : 0);
      const sent = framer.push(sound(512));
      framer.addWords([word]);
      const rest = framer.flush().map(({ pcm, words = [] }) => [pcm.length, words.length]);
      expect([sent.length, rest]).toEqual([holdsLast ? 0 : 1, left]);
    }
  });

  it("counts samples of 48 kHz, those included that fill no chunk", () => {
    const framer = createFramer(512, 0);
    framer.push({ pcm: new Int16Array(100), sampleRateHz: 24_000 });
    framer.endVoice();
    expect(framer.samples()).toBe(200);
  });
});
