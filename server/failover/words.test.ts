import { describe, expect, it } from "vitest";
import { ordinarySeconds } from "../core/text/pace.ts";
import type { SpeechPart, WordTiming } from "../models/synthesizer.ts";
import {
  estimateWords,
  holdWords,
  type PlacedPart,
  spreadWords,
  type WordPlacer,
  wordsOf,
} from "./words.ts";

const at = (word: string, startSample: number, endSample: number, textStart = 0): WordTiming => ({
  word,
  textStart,
  startSample,
  endSample,
});
const part = (length: number, words?: readonly WordTiming[]): SpeechPart => ({
  pcm: new Int16Array(length).fill(1_000),
  sampleRateHz: 48_000,
  ...(words && { words }),
});

/** What comes out: samples of each part and its words; an error ends it. */
function read(placer: WordPlacer, ...steps: readonly (SpeechPart | Error)[]) {
  const got: ([number, string[]] | string)[] = [];
  const note = (part: PlacedPart | undefined) => {
    if (part) got.push([part.pcm.length, part.words.map(({ word }) => word)]);
  };
  try {
    for (const step of steps) {
      if (step instanceof Error) throw step;
      placer.addWords(step.words ?? []);
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
const hold = (...steps: readonly (SpeechPart | Error)[]) =>
  read(holdWords({ text: "", provider: "a", pace: 1 }), ...steps);

describe("holdWords", () => {
  it("holds the beginning of a word back until all of it is there", () => {
    const words = [at("one", 0, 100), at("two", 120, 220, 4)];
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
    const words = [at("one", 0, 100), at("two", 120, 220, 4)];
    expect(hold(part(150, words), new Error("cut"))).toEqual([[120, ["one"]], "cut"]);
  });

  it("tells a word that is said to end behind the last sample", () => {
    expect(hold(part(100, [at("one", 0, 130)]))).toEqual([[100, ["one"]]]);
  });

  const one = { ...at("One", 0, 4_800), textStart: 0 };
  const of = (text: string, ...steps: readonly SpeechPart[]) =>
    read(holdWords({ text, provider: "a", pace: 1 }), ...steps);

  it("throws when the sound ends too early for what was not told", () => {
    expect(of("One seven.", part(9_600, [one]))).toEqual([
      [4_800, ["One"]],
      "a: ended before the text did",
    ]);
  });

  it("takes a word that lies behind the last sample for unsaid", () => {
    const ahead = { ...at("two", 9_600, 14_400), textStart: 4 };
    expect(of("One two.", part(4_800, [one, ahead]))).toContain("a: ended before the text did");
  });

  it("takes a word for unsaid of which more than a quarter lies behind the last sample", () => {
    const broken = { ...at("two", 4_800, 14_400), textStart: 4 };
    expect(of("One two.", part(11_000, [one, broken]))).toEqual([
      [4_800, ["One"]],
      "a: ended before the text did",
    ]);
    expect(of("One two.", part(12_400, [one, broken]))).toEqual([
      [4_800, ["One"]],
      [7_600, ["two"]],
    ]);
  });

  it.each([
    ["all words were told", "One.", part(4_800, [one])],
    ["the rest has sound enough, if no timing", "One $5.", part(24_000, [one])],
    ["only marks are left", "One -- !", part(4_800, [one])],
    ["no word was told at all", "One seven.", part(100)],
  ])("lets a voice end when %s", (_, text, step) => {
    expect(of(text, step)).not.toContain("a: ended before the text did");
  });
});

describe("holdWords, with timings that come late, out of order or not at all", () => {
  const text = "One two three.";
  const second = 48_000;
  const words = [at("One", 0, 9_000), at("two", 10_000, 20_000, 4), at("three", 21_000, 31_000, 8)];
  const hear = (...steps: readonly (SpeechPart | Error)[]) =>
    read(holdWords({ text, provider: "a", pace: 1 }), ...steps);
  const cut = new Error("cut");

  it("holds sound until its timing comes, so that no word is heard without being known", () => {
    expect(hear(part(9_500), part(10_500, words.slice(0, 1)), cut)).toEqual([
      [9_000, ["One"]],
      "cut",
    ]);
  });

  it("puts timings in order", () => {
    const [one, two, three] = words;
    const shuffled = [three, one, two].filter((word) => word !== undefined);
    expect(hear(part(20_500, shuffled), cut)).toEqual([[20_500, ["One", "two"]], "cut"]);
  });

  it("leaves out a timing that contradicts the text", () => {
    const wrong = at("three", 500, 900, 8);
    expect(hear(part(20_000, [...words.slice(0, 2), wrong]), cut)).toEqual([
      [20_000, ["One", "two"]],
      "cut",
    ]);
  });

  it("goes on without timings after 0.4 s, and estimates what was said of them", () => {
    // "One two" takes half a second at an ordinary pace; 0.6 s leave after 1 s has come.
    expect(hear(part(second), cut)).toEqual([[28_800, []], [0, ["One", "two"]], "cut"]);
  });

  it("estimates behind the last timed word alone", () => {
    expect(hear(part(second, words.slice(0, 1)), cut)).toEqual([
      [28_800, ["One"]],
      [0, ["two"]],
      "cut",
    ]);
  });

  it("gives all words their places when the voice ends without having timed one", () => {
    expect(hear(part(second)).at(-1)).toEqual([19_200, ["One", "two", "three"]]);
  });
});

describe("estimateWords", () => {
  it("tells all words with the last part", () => {
    expect(read(estimateWords({ text: "One two.", pace: 1 }), part(500), part(500))).toEqual([
      [500, []],
      [500, ["One", "two"]],
    ]);
  });

  it("tells the words that the samples would hold when the voice fails", () => {
    // Eight letters, half a second.
    const steps = [part(12_000), part(12_000), new Error("cut")];
    expect(read(estimateWords({ text: "One two three four.", pace: 1 }), ...steps)).toEqual([
      [12_000, []],
      [12_000, ["One", "two"]],
      "cut",
    ]);
  });

  it.each([
    ["Chinese", "今天下午会下雨，所以请带上雨伞出门。", 2],
    ["Japanese", "今日の午後は雨が降りますので、傘をお持ちください。", 2],
    ["Thai", "บ่ายวันนี้ฝนจะตกเพราะฉะนั้นโปรดนำร่มติดตัวไปด้วย", 2],
  ])("takes half of a %s sentence for said after half of its time", (_, text, half) => {
    const seconds = ordinarySeconds(text) / half;
    const placer = estimateWords({ text, pace: 1 });
    placer.push(part(Math.round(seconds * 48_000)));
    const said = (placer.fail()?.words ?? []).map(({ word }) => word).join("");
    expect(said.length / text.length).toBeGreaterThan(0.4);
    expect(said.length / text.length).toBeLessThan(0.6);
  });

  it("uses the voice's own pace", () => {
    const placer = estimateWords({ text: "One two three four.", pace: 2 });
    placer.push(part(24_000));
    expect(placer.fail()?.words.map(({ word }) => word)).toEqual(["One"]);
  });

  it("yields nothing of its own when nothing came", () => {
    expect(read(estimateWords({ text: "One.", pace: 1 }), new Error("refused"))).toEqual([
      "refused",
    ]);
  });
});
