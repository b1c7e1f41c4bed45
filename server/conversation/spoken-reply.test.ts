import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wordsOf } from "../failover/words.ts";
import { createTranscriptWords } from "./spoken-reply.ts";

describe("createTranscriptWords", () => {
  it("spreads a delta's words over the sound until the next delta, by their letters", () => {
    const transcript = createTranscriptWords();
    expect(transcript.write("One three ", 0)).toEqual([]);
    expect(transcript.write("six.", 800)).toEqual([
      { word: "One", textStart: 0, startSample: 0, endSample: 300 },
      { word: "three", textStart: 4, startSample: 300, endSample: 800 },
    ]);
    expect(transcript.end(1000)).toEqual([
      { word: "six", textStart: 10, startSample: 800, endSample: 1000 },
    ]);
  });

  it("waits for the rest of a word that a delta cuts", () => {
    const transcript = createTranscriptWords();
    transcript.write("One th", 0);
    expect(transcript.write("ree.", 300).map(({ word }) => word)).toEqual(["One"]);
    expect(transcript.end(900)).toMatchObject([{ word: "three", textStart: 4, startSample: 300 }]);
  });

  it("keeps deltas together between which no sound came", () => {
    const transcript = createTranscriptWords();
    transcript.write("One ", 0);
    expect(transcript.write("two", 0)).toEqual([]);
    expect(transcript.end(600).map(({ endSample }) => endSample)).toEqual([300, 600]);
  });

  it("tells nothing of words for which there is no sound", () => {
    const transcript = createTranscriptWords();
    transcript.write("One", 0);
    expect(transcript.end(0)).toEqual([]);
  });

  it("tells each word once, in order, wherever the deltas are cut", () =>
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.integer({ min: 0, max: 9000 }))),
        (steps) => {
          const transcript = createTranscriptWords();
          let samples = 0;
          const words = steps.flatMap(([delta, more]) => {
            const placed = transcript.write(delta, samples);
            samples += more;
            return placed;
          });
          words.push(...transcript.end(samples + 1));
          const text = steps.map(([delta]) => delta).join("");
          expect(words.map(({ textStart }) => textStart)).toEqual(
            words.map(({ textStart }) => textStart).toSorted((a, b) => a - b),
          );
          for (const { word, textStart } of words) {
            expect(text.slice(textStart, textStart + word.length)).toBe(word);
          }
          expect(new Set(words.map(({ textStart }) => textStart)).size).toBe(words.length);
          if (!/[^a-z ]/i.test(text)) expect(words).toHaveLength(wordsOf(text).length);
        },
      ),
    ));
});
