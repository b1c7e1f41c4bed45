import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTextClauses, splitChunks, splitClauses } from "./clauses.ts";

const textsOf = (text: string) => splitClauses(text).map((clause) => clause.text);
const words = (count: number) =>
  Array.from({ length: count }, (_, at) => ["go", "up", "be", "it"][at % 4]).join(" ");
/** An estimate other than the code's: what the local voice took for each letter, at its slowest. */
const mostLetters = 44;

describe("splitClauses", () => {
  it("splits at marks", () =>
    expect(textsOf("well then, that is all i know. good bye now!")).toEqual([
      "well then,",
      "that is all i know.",
      "good bye now!",
    ]));

  it("joins fragments with what follows, within a sentence", () => {
    expect(textsOf("we have red, green, blue, white, and black.")).toEqual([
      "we have red,",
      "green, blue, white, and black.",
    ]);
    expect(textsOf("yes. no, thanks.")).toEqual(["yes.", "no, thanks."]);
  });

  it("pauses by the mark", () =>
    expect(
      splitClauses("here we are, there you go. is it so? and then").map((c) => c.pauseMs),
    ).toEqual([120, 250, 250, 30]));

  it("keeps the first clause short", () => {
    const text = "the weather today is sunny with a light wind from the west.";
    expect(textsOf(text)).toEqual([
      "the weather today is sunny",
      "with a light wind from the west.",
    ]);
    expect(textsOf(`well now, ${text}`)).toEqual([
      "well now,",
      "the weather today is sunny",
      "with a light wind from the west.",
    ]);
    expect(textsOf(`${words(9)}.`)).toEqual([`${words(9)}.`]);
  });

  it("splits text without marks before a conjunction near its middle", () =>
    expect(textsOf(`${words(9)} because ${words(8)}.`)).toEqual([
      words(9),
      `because ${words(8)}.`,
    ]));

  it("splits text without a conjunction", () => {
    const lengths = textsOf(words(100)).map((text) => text.split(" ").length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(12);
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(4);
  });

  it("splits long words", () => {
    const clauses = textsOf(Array.from({ length: 9 }, () => "x".repeat(40)).join(" "));
    for (const clause of clauses) expect(clause.length).toBeLessThanOrEqual(12);
    expect(clauses.join("").replaceAll(" ", "")).toBe("x".repeat(360));
    for (const part of textsOf("w".repeat(300))) expect(part.length).toBeLessThanOrEqual(4);
    expect(textsOf("w".repeat(300)).join("")).toBe("w".repeat(300));
  });

  it("keeps every clause shorter than 3 s", () => {
    const text =
      "the committee published several comprehensive recommendations concerning international " +
      "transportation infrastructure and environmental sustainability programmes.";
    for (const clause of textsOf(text)) expect(clause.length).toBeLessThanOrEqual(mostLetters);
    expect(textsOf("water boils at one hundred degrees celsius at sea level.")).toEqual([
      "water boils",
      "at one hundred degrees celsius",
      "at sea level.",
    ]);
  });

  it("leaves ordinary sentences whole", () => {
    expect(textsOf("sure, i can help you with that. what would you like to know?")).toEqual([
      "sure, i can help you with that.",
      "what would you like to know?",
    ]);
    expect(textsOf("good morning! how did you sleep?")).toEqual([
      "good morning!",
      "how did you sleep?",
    ]);
  });

  it("returns nothing for an empty text", () => expect(splitClauses("")).toEqual([]));

  it("loses no word, keeps the order and keeps every clause short", () => {
    // Letters that are spelled out may take more than 3 s in one word, which is then cut.
    const token = fc.stringMatching(/^([b-v][aeiou]){1,3}[,.!?]?$/);
    fc.assert(
      fc.property(fc.array(token, { maxLength: 80 }), (tokens) => {
        const clauses = textsOf(tokens.join(" "));
        expect(clauses.join(" ")).toBe(tokens.join(" "));
        for (const clause of clauses) expect(clause.split(" ").length).toBeLessThanOrEqual(12);
      }),
    );
  });
});

const latin = createTextClauses({ provider: "a voice", transliterate: false });
const any = createTextClauses({ provider: "a voice", transliterate: true });
const textsIn = (clauses: ReturnType<typeof any>) => Array.from(clauses, ({ text }) => text);

describe("createTextClauses", () => {
  it("normalizes a text and splits it", () =>
    expect(textsIn(latin("Dr. Li paid $3. Good!"))).toEqual([
      "doctor li paid three dollars.",
      "good!",
    ]));

  it("refuses a text in another script unless it may transliterate it", () => {
    expect(() => textsIn(latin("Привет, мир."))).toThrow(
      expect.objectContaining({ provider: "a voice", kind: "language" }),
    );
    expect(textsIn(any("Привет, мир."))).toEqual(["privet, mir."]);
  });

  it("yields no clause for unpronounceable text", () => expect(textsIn(any("— 😀 …"))).toEqual([]));

  it("begins a long text without processing all of it", { retry: 2 }, () => {
    const clauses = any("so it goes on and on. ".repeat(100_000))[Symbol.iterator]();
    const fromMs = performance.now();
    expect(clauses.next().value?.text).toBe("so it goes on and on.");
    expect(performance.now() - fromMs).toBeLessThan(200);
  });
});

describe("splitChunks", () => {
  it("leaves a short text whole", () => expect([...splitChunks("Short.")]).toEqual(["Short."]));

  it("loses nothing and keeps every chunk short", () => {
    const text = fc.string({ unit: "grapheme", minLength: 0, maxLength: 3_000, size: "max" });
    fc.assert(
      fc.property(text, (whole) => {
        const chunks = [...splitChunks(whole)];
        expect(chunks.join("")).toBe(whole);
        for (const chunk of chunks) expect(chunk.length).toBeLessThanOrEqual(600);
      }),
      { numRuns: 30 },
    );
  });

  it("splits after a sentence rather than a clause, and after a clause rather than a word", () => {
    const words = "word ".repeat(70);
    expect([...splitChunks(`${words}End. ${words}, ${words}`)][0]).toBe(`${words}End. `);
    expect([...splitChunks(`${words}so, ${words}${words}`)][0]).toBe(`${words}so, `);
    expect([...splitChunks(`${"x".repeat(590)} ${words}`)][0]).toBe(`${"x".repeat(590)} word `);
  });

  it("does not split a surrogate pair", () => {
    const chunks = [...splitChunks("😀".repeat(1_000).replace("😀", "a"))];
    for (const chunk of chunks) expect(chunk.isWellFormed()).toBe(true);
  });
});
