import { describe, expect, it } from "vitest";
import type { SpeechPart, WordTiming } from "../models/synthesizer.ts";
import { estimateWords, holdWords, spreadWords, type WordPlacer, wordsOf } from "./words.ts";

const at = (word: string, startSample: number, endSample: number): WordTiming => ({
  word,
  textStart: 0,
  startSample,
  endSample,
});
const part = (length: number, words?: readonly WordTiming[]): SpeechPart => ({
  pcm: new Int16Array(length).fill(1),
  sampleRateHz: 48_000,
  ...(words && { words }),
});

/** What comes out: samples of each part and its words; an error ends it. */
function read(placer: WordPlacer, ...steps: readonly (SpeechPart | Error)[]) {
  const got: ([number, string[]] | string)[] = [];
  const note = (part: SpeechPart | undefined) => {
    if (part) got.push([part.pcm.length, (part.words ?? []).map(({ word }) => word)]);
  };
  try {
    for (const step of steps) {
      if (step instanceof Error) throw step;
      note(placer.push(step));
    }
    note(placer.end());
  } catch (error) {
    note(placer.fail());
    got.push((error as Error).message);
  }
  return got;
}

describe("wordsOf", () => {
  it("finds the words of any script, and where they stand", () => {
    expect(wordsOf("«Да», 3.5 it's… 東京!")).toEqual([
      { word: "Да", textStart: 1 },
      { word: "3.5", textStart: 6 },
      { word: "it's", textStart: 10 },
      { word: "東京", textStart: 16 },
    ]);
  });
});

describe("spreadWords", () => {
  it("gives each word its share by letters, without gap or overlap", () => {
    const words = spreadWords(wordsOf("a bbb cc"), 100, 700);
    expect(words.map(({ startSample, endSample }) => [startSample, endSample])).toEqual([
      [100, 200],
      [200, 500],
      [500, 700],
    ]);
  });
});

/** A text whose words are not checked. */
const hold = (...steps: readonly (SpeechPart | Error)[]) => read(holdWords("", "a"), ...steps);

describe("holdWords", () => {
  it("holds the beginning of a word back until all of it is there", () => {
    const words = [at("one", 0, 100), at("two", 120, 220)];
    expect(hold(part(90, words), part(60), part(100))).toEqual([
      [120, ["one"]],
      [130, ["two"]],
    ]);
  });

  it("lets sound through at once where no word is known", () => {
    expect(hold(part(90), part(60))).toEqual([
      [90, []],
      [60, []],
    ]);
  });

  it("drops the beginning of a word, and its timing, when the voice fails in it", () => {
    const words = [at("one", 0, 100), at("two", 120, 220)];
    expect(hold(part(150, words), new Error("cut"))).toEqual([[120, ["one"]], "cut"]);
  });

  it("tells a word that is said to end behind the last sample", () => {
    expect(hold(part(100, [at("one", 0, 130)]))).toEqual([[100, ["one"]]]);
  });

  const one = { ...at("One", 0, 4_800), textStart: 0 };
  const of = (text: string, ...steps: readonly SpeechPart[]) =>
    read(holdWords(text, "a"), ...steps);

  it("throws when the sound ends too early for what was not told", () => {
    expect(of("One seven.", part(9_600, [one]))).toEqual([
      [9_600, ["One"]],
      "a: ended before the text did",
    ]);
  });

  it("takes a word that lies behind the last sample for unsaid", () => {
    const ahead = { ...at("two", 9_600, 14_400), textStart: 4 };
    expect(of("One two.", part(4_800, [one, ahead]))).toContain("a: ended before the text did");
  });

  it.each([
    ["all words were told", "One.", part(4_800, [one])],
    ["the rest has sound enough, if no timing", "One $5.", part(14_400, [one])],
    ["only marks are left", "One -- !", part(4_800, [one])],
    ["no word was told at all", "One seven.", part(100)],
  ])("lets a voice end when %s", (_, text, step) => {
    expect(of(text, step)).toHaveLength(1);
  });
});

describe("estimateWords", () => {
  it("tells all words with the last part", () => {
    expect(read(estimateWords("One two."), part(500), part(500))).toEqual([
      [500, []],
      [500, ["One", "two"]],
    ]);
  });

  it("tells the words that the samples would hold when the voice fails", () => {
    // Eight letters, half a second.
    const steps = [part(12_000), part(12_000), new Error("cut")];
    expect(read(estimateWords("One two three four."), ...steps)).toEqual([
      [12_000, []],
      [12_000, ["One", "two"]],
      "cut",
    ]);
  });

  it("yields nothing of its own when nothing came", () => {
    expect(read(estimateWords("One."), new Error("refused"))).toEqual(["refused"]);
  });
});
