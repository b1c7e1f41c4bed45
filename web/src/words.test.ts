import { array, assert, constantFrom, property, string } from "fast-check";
import { describe, expect, it } from "vitest";
import { findWord, splitWords } from "./words.ts";

describe("splitWords", () => {
  it("loses no letter of any text", () => {
    assert(
      property(string({ unit: "grapheme" }), (text) => {
        const words = splitWords(text).map((word) => word.text);
        expect(words.join("")).toBe(text);
        expect(words).not.toContain("");
      }),
    );
  });

  it("keeps marks and white space with the word before them", () => {
    const words = splitWords(" «Well», she said — 3.50!\n").map((word) => word.text);
    expect(words).toEqual([" «Well», ", "she ", "said ", "— ", "3.50!\n"]);
  });

  it("finds words where no space stands between them", () => {
    expect(splitWords("今日は良い天気です。").length).toBeGreaterThan(2);
  });

  it("gives a mark alone no time, a number more than its digits, and a pause to a clause", () => {
    const weights = splitWords("a — 12 a, ").map((word) => word.weight);
    expect(weights).toEqual([2, 0, 7, 4]);
  });
});

describe("findWord", () => {
  it.each([
    { text: "A day at sea, a", word: "a", from: 0, at: 14 },
    { text: "none, one", word: "one", from: 0, at: 6 },
    { text: "one, one", word: "one", from: 1, at: 5 },
    { text: "\u{1d41a}a a\u0301 a", word: "a", from: 0, at: 7 },
    { text: "«Don't», 3.50!", word: "3.50", from: 0, at: 9 },
    { text: "良い天気です", word: "天気", from: 0, at: 2 },
    { text: "two", word: "one", from: 0, at: -1 },
    { text: "two", word: "two", from: 3, at: -1 },
    { text: "two", word: "", from: 0, at: -1 },
  ])("finds '$word' in '$text' from $from on at $at", ({ text, word, from, at }) => {
    expect(findWord(text, word, from)).toBe(at);
  });

  it("finds every word that the gateway tells, one behind the other, in any script", () => {
    const letters = ["a", "é", "7", "'", "-", ".", ",", " ", "良", "い", "カ", "ー", "ไ", "ย", "ш"];
    const texts = array(constantFrom(...letters)).map((units) => units.join(""));
    const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
    assert(
      property(texts, (text) => {
        let from = 0;
        for (const { segment, index, isWordLike } of segmenter.segment(text)) {
          if (!isWordLike) continue;
          expect(findWord(text, segment, from)).toBe(index);
          from = index + segment.length;
        }
      }),
    );
  });
});
