import { describe, expect, it } from "vitest";
import { createPartMaker, createWordPlacer } from "./parts.ts";

const spoken = (word: string, startTicks: number, durationTicks = 1_000_000) => ({
  word,
  startTicks,
  durationTicks,
});

describe("createWordPlacer", () => {
  it("finds repeated words each behind the one before", () => {
    const place = createWordPlacer("no, no, a no");
    const starts = ["no", "no", "a", "no"].map((word, at) => place(spoken(word, at), 48_000));
    expect(starts.map((word) => word?.textStart)).toEqual([0, 4, 8, 10]);
  });

  it("finds words that hold escaped characters, however the service writes them", () => {
    const text = 'R&D <said> "AT&T"';
    const place = createWordPlacer(text);
    const words = ["R&amp;D", "said", "AT&T"].map((word, at) => place(spoken(word, at), 48_000));
    expect(words.map((word) => word && [word.word, word.textStart])).toEqual([
      ["R&D", 0],
      ["said", 5],
      ["AT&T", 12],
    ]);
  });

  it("passes by a word that is not in the text, and goes on", () => {
    const place = createWordPlacer("it is 3 now");
    expect(place(spoken("three", 0), 48_000)).toBeUndefined();
    expect(place(spoken("now", 1), 48_000)?.textStart).toBe(8);
  });

  it("turns ticks of 100 ns into samples, and keeps them in order", () => {
    const place = createWordPlacer("a b c");
    expect(place(spoken("a", 10_000_000, 5_000_000), 48_000)).toMatchObject({
      startSample: 48_000,
      endSample: 72_000,
    });
    expect(place(spoken("b", 9_000_000, 0), 48_000)).toMatchObject({
      startSample: 48_000,
      endSample: 48_001,
    });
  });
});

describe("createPartMaker", () => {
  it("sends words with the next sound, and no empty part", () => {
    const maker = createPartMaker("one two");
    maker.tell(spoken("one", 0));
    expect(maker.sound(new Int16Array(0), 48_000)).toBeUndefined();
    const part = maker.sound(new Int16Array(10), 48_000);
    expect(part?.words?.map(({ word }) => word)).toEqual(["one"]);
    expect(maker.sound(new Int16Array(10), 48_000)).not.toHaveProperty("words");
    expect(maker.end()).toEqual([]);
  });

  it("sends words that were told behind the last sound, inside the sound", () => {
    const maker = createPartMaker("one two");
    maker.sound(new Int16Array(48_000), 48_000);
    maker.tell(spoken("one", 9_900_000));
    maker.tell(spoken("two", 30_000_000));
    expect(maker.end()).toMatchObject([
      {
        pcm: new Int16Array(1),
        words: [{ word: "one", startSample: 47_520, endSample: 48_001 }],
      },
    ]);
  });

  it("sends only words that had come in full when the service failed", () => {
    const maker = createPartMaker("one two");
    maker.sound(new Int16Array(48_000), 48_000);
    maker.tell(spoken("one", 0));
    maker.tell(spoken("two", 9_900_000));
    expect(maker.fail()).toMatchObject([{ words: [{ word: "one", endSample: 4_800 }] }]);
  });

  it("sends nothing where there was no sound", () => {
    const maker = createPartMaker("one");
    maker.tell(spoken("one", 0));
    expect(maker.fail()).toEqual([]);
    expect(maker.end()).toEqual([]);
  });
});
