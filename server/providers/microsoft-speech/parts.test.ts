import { describe, expect, it } from "vitest";
import { createPartBuilder, createWordLocator } from "./parts.ts";

const spoken = (word: string, startTicks: number, durationTicks = 1_000_000) => ({
  word,
  startTicks,
  durationTicks,
});

describe("createWordLocator", () => {
  it("finds repeated words one after the other", () => {
    const locate = createWordLocator("no, no, a no");
    const starts = ["no", "no", "a", "no"].map((word, at) => locate(spoken(word, at), 48_000));
    expect(starts.map((word) => word?.textStart)).toEqual([0, 4, 8, 10]);
  });

  it("finds words with escaped characters, however the service writes them", () => {
    const text = 'R&D <said> "AT&T"';
    const locate = createWordLocator(text);
    const words = ["R&amp;D", "said", "AT&T"].map((word, at) => locate(spoken(word, at), 48_000));
    expect(words.map((word) => word && [word.word, word.textStart])).toEqual([
      ["R&D", 0],
      ["said", 5],
      ["AT&T", 12],
    ]);
  });

  it("skips a word that is not in the text", () => {
    const locate = createWordLocator("it is 3 now");
    expect(locate(spoken("three", 5_000_000), 48_000)).toBeUndefined();
    expect(locate(spoken("now", 10_000_000), 48_000)?.textStart).toBe(8);
  });

  it("does not find a short word inside a longer one", () => {
    const locate = createWordLocator("Panama: a man, 115 or 5?");
    const words = ["Panama", "a", "man", "5"].map((word, at) =>
      locate(spoken(word, at * 5_000_000), 48_000),
    );
    expect(words.map((word) => word?.textStart)).toEqual([0, 8, 10, 22]);
  });

  it("finds words in scripts without spaces", () => {
    const locate = createWordLocator("今日は良い天気");
    const words = ["今日", "良い"].map((word, at) => locate(spoken(word, at * 5_000_000), 48_000));
    expect(words.map((word) => word?.textStart)).toEqual([0, 3]);
  });

  it("finds words that are reported out of order, each where it is heard", () => {
    const locate = createWordLocator("two three two four");
    const at = (word: string, place: number) => locate(spoken(word, place * 5_000_000), 48_000);
    const words = [at("two", 0), at("four", 3), at("two", 2), at("three", 1)];
    expect(words.map((word) => word?.textStart)).toEqual([0, 14, 10, 4]);
  });

  it("does not take a word for the same one far behind, which cannot be reached yet", () => {
    const locate = createWordLocator("Take 5 of these tablets, and in an hour five more.");
    locate(spoken("Take", 0), 48_000);
    expect(locate(spoken("five", 2_000_000), 48_000)).toBeUndefined();
    expect(locate(spoken("of", 4_000_000), 48_000)?.textStart).toBe(7);
  });

  it("converts ticks of 100 ns to samples, and gives no timing against the order", () => {
    const locate = createWordLocator("a b c");
    expect(locate(spoken("a", 10_000_000, 5_000_000), 48_000)).toMatchObject({
      startSample: 48_000,
      endSample: 72_000,
    });
    expect(locate(spoken("b", 20_000_000, 0), 48_000)).toMatchObject({
      startSample: 96_000,
      endSample: 96_001,
    });
    expect(locate(spoken("c", 9_000_000), 48_000)).toBeUndefined();
  });
});

describe("createPartBuilder", () => {
  it("sends words with the next audio, and no empty part", () => {
    const builder = createPartBuilder("one two");
    builder.addWord(spoken("one", 0));
    expect(builder.addAudio(new Int16Array(0), 48_000)).toBeUndefined();
    const part = builder.addAudio(new Int16Array(10), 48_000);
    expect(part?.words?.map(({ word }) => word)).toEqual(["one"]);
    expect(builder.addAudio(new Int16Array(10), 48_000)).not.toHaveProperty("words");
    expect(builder.end()).toEqual([]);
  });

  it("sends words reported after the last audio, within the audio", () => {
    const builder = createPartBuilder("one two");
    builder.addAudio(new Int16Array(48_000), 48_000);
    builder.addWord(spoken("one", 9_900_000));
    builder.addWord(spoken("two", 30_000_000));
    expect(builder.end()).toMatchObject([
      {
        pcm: new Int16Array(1),
        words: [{ word: "one", startSample: 47_520, endSample: 48_001 }],
      },
    ]);
  });

  it("sends only words heard in full when the service failed", () => {
    const builder = createPartBuilder("one two");
    builder.addAudio(new Int16Array(48_000), 48_000);
    builder.addWord(spoken("one", 0));
    builder.addWord(spoken("two", 9_900_000));
    expect(builder.fail()).toMatchObject([{ words: [{ word: "one", endSample: 4_800 }] }]);
  });

  it("sends nothing without audio", () => {
    const builder = createPartBuilder("one");
    builder.addWord(spoken("one", 0));
    expect(builder.fail()).toEqual([]);
    expect(builder.end()).toEqual([]);
  });
});
