import { describe, expect, it } from "vitest";
import { createPronouncer, type Dictionary } from "./pronounce.ts";

const dictionary: Dictionary = {
  DON: ["D", "AA1", "N"],
  "DON'T": ["D", "OW1", "N", "T"],
  CAT: ["K", "AE1", "T"],
  BUS: ["B", "AH1", "S"],
  VAN: ["V", "AE1", "N"],
  WEB: ["W", "EH1", "B"],
  HOOK: ["HH", "UH1", "K"],
  BAKE: ["B", "EY1", "K"],
  J: ["JH", "EY1"],
  S: ["EH1", "S"],
  T: ["T", "IY1"],
};

function create() {
  const asked: string[] = [];
  const predict = (word: string) => {
    asked.push(word);
    return { symbols: Array.from(word), tones: Array.from(word, () => 0) };
  };
  const pronounce = createPronouncer({ dictionary, predict });
  const symbols = (text: string) => pronounce(text).symbols.slice(1, -1).join(" ");
  return { asked, pronounce, symbols };
}

describe("createPronouncer", () => {
  it("adds boundaries, and a tone for every symbol", () =>
    expect(create().pronounce("cat, van!")).toEqual({
      symbols: ["_", "k", "ae", "t", ",", "V", "ae", "n", "!", "_"],
      tones: [0, 0, 2, 0, 0, 0, 2, 0, 0, 0],
    }));

  it.each([
    ["don't", "d ow n t"],
    ["cat's", "k ae t s"],
    ["van's", "V ae n z"],
    ["bus's", "b ah s ih z"],
    ["cat'll", "k ae t ah l"],
    ["van're", "V ae n er"],
    ["cats", "k ae t s"],
    ["hooked", "hh uh k t"],
    ["baking", "b ey k ih ng"],
    ["webhook", "w eh b hh uh k"],
    ["webhooks'", "w eh b hh uh k s"],
    ["js", "jh ey eh s"],
    ["'cat'", "k ae t"],
    ["'", ""],
  ])("finds %s in the dictionary, whole or by its parts", (word, expected) => {
    const { symbols, asked } = create();
    expect(symbols(word)).toBe(expected);
    expect(asked).toEqual([]);
  });

  it("predicts an unknown word once, in pieces that the predictor accepts", () => {
    const { symbols, asked } = create();
    const word = "zorblattificationalisms";
    expect(symbols(`${word} ${word}`).replaceAll(" ", "")).toBe(word + word);
    expect(asked.join("")).toBe(word);
    for (const piece of asked) expect(piece.length).toBeLessThanOrEqual(14);
  });

  it("evicts old predictions, to limit the cache", () => {
    const { pronounce, asked } = create();
    const word = (at: number) =>
      `o${at.toString(6).replace(/\d/g, (digit) => "uieayo"[Number(digit)] ?? "")}`;
    for (let at = 0; at < 6_000; at++) pronounce(word(at));
    const before = asked.length;
    pronounce(word(5_999));
    expect(asked.length).toBe(before);
    pronounce(word(0));
    expect(asked.length).toBeGreaterThan(before);
  });
});
