import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mergeWords } from "./merge-words.ts";

const mergeAll = (pieces: readonly string[]) => pieces.reduce(mergeWords, "");

/** A text of different words of one length, so that nothing repeats by chance, and where to cut it. */
const cutText = fc
  .uniqueArray(fc.stringMatching(/^[a-zа-я😀]{6}$/u), { minLength: 1, maxLength: 12 })
  .chain((words) =>
    fc.record({
      words: fc.constant(words),
      /** How many words each piece adds, and how many earlier ones it repeats. */
      steps: fc.array(fc.record({ adds: fc.integer({ min: 0, max: 4 }), repeats: fc.nat(3) })),
    }),
  );

describe("mergeWords", () => {
  it("makes the text of growing snapshots of it, whatever the text is", () =>
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.array(fc.nat(60)), (text, lengths) => {
        const snapshots = lengths.toSorted((a, b) => a - b).map((length) => text.slice(0, length));
        expect(mergeAll([...snapshots, text])).toBe(text);
      }),
    ));

  it("makes the text of deltas, with or without an overlap", () =>
    fc.assert(
      fc.property(cutText, ({ words, steps }) => {
        let end = 0;
        const pieces: string[] = [];
        for (const { adds, repeats } of [...steps, { adds: words.length, repeats: 0 }]) {
          const begin = end === 0 ? 0 : Math.max(1, end - repeats);
          end = Math.min(words.length, end + adds);
          // The space that parts two words goes with the later one.
          pieces.push(
            words
              .slice(begin, end)
              .map((word, at) => (begin + at ? ` ${word}` : word))
              .join(""),
          );
        }
        expect(mergeAll(pieces)).toBe(words.join(" "));
      }),
    ));

  it("always keeps all of the words so far, or replaces them with words that begin with them", () =>
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "b", " ") }),
        fc.string({ unit: fc.constantFrom("a", "b", " ") }),
        (soFar, piece) => {
          const merged = mergeWords(soFar, piece);
          expect(merged.startsWith(soFar)).toBe(true);
          expect(merged.endsWith(piece)).toBe(true);
          expect(merged.length).toBeLessThanOrEqual(soFar.length + piece.length);
        },
      ),
    ));

  it.each([
    ["", "hello", "hello"],
    ["hello", "", "hello"],
    ["hello ", "world", "hello world"],
    ["can you", " help me", "can you help me"],
    ["what is the wea", "weather", "what is the weather"],
    ["aab", "aabaab", "aabaab"],
    ["xaab", "aabaab", "xaabaab"],
    ["the cat and ", "the dog", "the cat and the dog"],
    ["can you help", "can you help", "can you help"],
  ])("merges %j and %j to %j", (soFar, piece, merged) => {
    expect(mergeWords(soFar, piece)).toBe(merged);
  });

  it("takes linear time where every letter is the same", { retry: 2 }, () => {
    const same = "a".repeat(65_536);
    const beganMs = performance.now();
    expect(mergeWords(`b${same}`, `${same}c`)).toBe(`b${same}c`);
    // Suffix by suffix this takes seconds.
    expect(performance.now() - beganMs).toBeLessThan(500);
  });
});
