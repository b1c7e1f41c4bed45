import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sentences } from "./sentences.ts";
import { createSpeakableText } from "./speakable.ts";

/** What is spoken of a text, cut into sentences; words apart by one space. */
async function spokenOf(text: string): Promise<string> {
  const speakable = createSpeakableText();
  let spoken = "";
  for await (const piece of sentences(
    (async function* () {
      yield text;
    })(),
  )) {
    const said = speakable.next(piece);
    expect(said).toHaveLength(piece.length);
    spoken += said;
  }
  return spoken.replaceAll(/\s+/g, " ").trim();
}

describe("createSpeakableText", () => {
  it.each([
    [
      "a block of code",
      "Run this:\n```js\nconst a = 1. Then\nb();\n```\nThat is all.",
      "Run this: That is all.",
    ],
    ["a block with another mark in it", "So:\n~~~\n```\nx\n~~~\nDone.", "So: Done."],
    ["a block that never ends", "So:\n```\nx = 1\nMore text.", "So:"],
    [
      "a bare address",
      "See https://example.com/a?b=c#d, or www.example.org. Then call.",
      "See , or . Then call.",
    ],
    [
      "the address of a link",
      "See [the page](https://example.com/x) now.",
      "See [the page]( ) now.",
    ],
    ["a table", "Here:\n| Day | Sun |\n|---|---|\n| Mon | 7 |\nGood.", "Here: Good."],
    ["tags", "It is <b>bold</b> and<br/> <!-- not --> done.", "It is bold and done."],
    ["rules", "One.\n-----\nTwo ===== three.", "One. Two three."],
  ])("leaves out %s", async (_, text, spoken) => expect(await spokenOf(text)).toBe(spoken));

  it.each([
    "It costs 3 < 5 and a > b.",
    "Use `npm install` here, well-known -- and so on.",
    "Ask me at example.com or a@b.org.",
    "5 | 6 is a choice.",
    "Das ist **wichtig** und *gut*.",
  ])("leaves alone: %s", async (text) => expect(await spokenOf(text)).toBe(text));

  it("keeps every place, whatever comes", () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom("```", "\n", "|", "a", " ", "<b>", "---", "https://x", "😀", "\r\n"),
        ),
        (parts) => {
          const text = parts.join("");
          expect(createSpeakableText().next(text)).toHaveLength(text.length);
        },
      ),
    ));

  it("is fast with a megabyte of what nearly fits", () => {
    const begun = performance.now();
    for (const part of ["<a ", "https://", "|", "-- "]) {
      for (let at = 0; at < 400; at++) createSpeakableText().next(part.repeat(150));
    }
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});
