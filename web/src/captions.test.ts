import {
  array,
  assert,
  boolean,
  constantFrom,
  integer,
  oneof,
  property,
  record,
  string,
} from "fast-check";
import { describe, expect, it } from "vitest";
import { Captions } from "./captions.ts";
import type { WordTiming } from "./words.ts";

function at(word: string, startSample: number, endSample: number): WordTiming {
  return { word, startSample, endSample };
}

describe("Captions", () => {
  const timing = record({
    word: constantFrom("one", "two", "three", "none"),
    startSample: integer({ min: 0, max: 96_000 }),
    endSample: integer({ min: 0, max: 96_000 }),
  });
  const chunk = record({ samples: integer({ min: 1, max: 9600 }), told: array(timing) });
  const some = array(constantFrom("one ", "two, ", "— ", "three-two ", "7 "));
  const passages = array(
    record({
      text: oneof(
        string({ unit: "grapheme" }),
        some.map((words) => words.join("")),
      ),
      chunks: array(chunk),
    }),
  );

  it("never takes a word back, and has lit them all at the end", () => {
    assert(
      property(passages, boolean(), (turn, ahead) => {
        const captions = new Captions();
        let received = 0;
        let before = 0;
        const look = (sample: number) => {
          const { words, from, to } = captions.heard(sample);
          expect(words).toBeGreaterThanOrEqual(before);
          expect(to).toBeGreaterThanOrEqual(from);
          before = words;
          const starts = captions.starts();
          expect(starts).toEqual(starts.toSorted((a, b) => a - b));
        };
        for (const { text, chunks } of turn) {
          captions.addText(text);
          for (const { samples, told } of chunks) {
            captions.addAudio(samples, told);
            received += samples;
            look(ahead ? received / 2 : received);
          }
        }
        captions.end();
        look(received);
        expect(before).toBe(captions.words);
        expect(captions.heard(received).to).toBe(turn.map(({ text }) => text).join("").length);
      }),
    );
  });

  it("lights nothing before the first sample is heard", () => {
    const captions = new Captions();
    captions.addText("One two.");
    captions.addAudio(48_000);
    expect(captions.heard(0)).toEqual({ words: 0, from: 0, to: 0 });
    expect(captions.heard(1)).toEqual({ words: 1, from: 0, to: 4 });
  });
});

describe("Captions.heard", () => {
  it("spreads a passage's words over its own audio by their length", () => {
    const captions = new Captions();
    captions.addText("aaa bbb ");
    captions.addAudio(1000);
    captions.addText("cccc dd eeeeee");
    captions.addAudio(1500);
    captions.end();
    const firstLit = (words: number) => {
      const samples = Array.from({ length: 2500 }, (_, sample) => sample);
      const fresh = samples.find((sample) => captions.heard(sample).words === words);
      return fresh === undefined ? undefined : fresh - 1;
    };
    expect([1, 2, 3, 4, 5].map(firstLit)).toEqual([0, 500, 1000, 1500, 1800]);
  });

  it("does not hurry through a passage whose audio has only begun", () => {
    const captions = new Captions();
    captions.addText("Fourteen words of text have come, but only a little of the voice so far.");
    captions.addAudio(4800);
    expect(captions.heard(4800).words).toBeLessThan(3);
  });
});

describe("Captions.starts", () => {
  const spoken = record({
    name: constantFrom("one", "two", "three"),
    marks: constantFrom("", ",", "?»", " —"),
    told: boolean(),
    length: integer({ min: 0, max: 9600 }),
    pause: integer({ min: 0, max: 9600 }),
  });
  const sentences = array(array(spoken, { minLength: 1 }), { minLength: 1 });

  it("keeps every beginning that is told, and fits the other words between them", () => {
    assert(
      property(sentences, (reply) => {
        const captions = new Captions();
        // Numbered, so that a word that is told can be no other one.
        let number = 0;
        let begin = 0;
        const exact = reply.flatMap((sentence) => {
          let sample = begin;
          const words = sentence.map(({ name, marks, told, length, pause }) => {
            const timing = at(`${name}${number++}`, sample, sample + length);
            sample += length + pause;
            return { text: `${timing.word}${marks} `, timing, told, dash: marks === " —" };
          });
          captions.addText(words.map(({ text }) => text).join(""));
          const told = words.filter((word) => word.told).map(({ timing }) => timing);
          captions.addAudio(sample + 1 - begin, told);
          begin = sample + 1;
          return words.flatMap(({ timing, told, dash }) => [
            told ? timing.startSample : undefined,
            ...(dash ? [undefined] : []),
          ]);
        });
        const starts = captions.starts();
        expect(starts).toEqual(exact.map((start) => start ?? expect.any(Number)));
        expect(starts).toEqual(starts.toSorted((a, b) => a - b));
        captions.end();
        expect(captions.heard(begin).words).toBe(exact.length);
      }),
    );
  });

  it("seeks a word behind the one before, so that the same word twice is two words", () => {
    const captions = new Captions();
    captions.addText("no, no, no");
    captions.addAudio(100, [at("no", 0, 10)]);
    captions.addAudio(100, [at("no", 110, 120), at("no", 190, 200)]);
    expect(captions.starts()).toEqual([0, 110, 190]);
  });
});

describe("Captions.addAudio", () => {
  it("lights a word at its told beginning, and not before", () => {
    const captions = new Captions();
    captions.addText("One two, three.");
    captions.addAudio(96_000, [
      at("One", 9000, 10_000),
      at("two", 20_000, 60_000),
      at("three", 80_000, 90_000),
    ]);
    const lit = [9000, 9001, 20_000, 20_001, 80_000, 80_001].map((n) => captions.heard(n).words);
    expect(lit).toEqual([0, 1, 1, 2, 2, 3]);
  });

  it("goes by what is told as soon as it is, and by the estimate until then", () => {
    const captions = new Captions();
    captions.addText("aa bb cc dd");
    captions.addAudio(4800);
    expect(captions.starts()).toEqual([0, 9000, 18_000, 27_000]);
    captions.addAudio(4800, [at("aa", 2000, 5000)]);
    expect(captions.starts()).toEqual([2000, 5000, 14_000, 23_000]);
    captions.addAudio(40_400, [at("bb", 6000, 30_000)]);
    expect(captions.starts()).toEqual([2000, 6000, 30_000, 40_000]);
    captions.end();
    expect(captions.starts()).toEqual([2000, 6000, 30_000, 40_000]);
  });

  it("fits words that are not told between the end of one and the beginning of another", () => {
    const captions = new Captions();
    captions.addText("aa — bb cc dd");
    captions.addAudio(60_000, [at("aa", 100, 9000), at("dd", 50_000, 60_000)]);
    expect(captions.starts()).toEqual([100, 9000, 9000, 29_500, 50_000]);
  });

  it("gives a word that is several for the gateway the first one's beginning", () => {
    const captions = new Captions();
    captions.addText("A well-known face");
    captions.addAudio(60_000, [at("A", 0, 10), at("well", 20, 30), at("known", 30, 50)]);
    expect(captions.starts()).toEqual([0, 20, 50]);
  });

  it("passes by what does not stand in the text that is being spoken", () => {
    const captions = new Captions();
    captions.addText("One two. ");
    captions.addAudio(1000, [at("One", 100, 200)]);
    captions.addText("Two one.");
    captions.addAudio(1000, [at("ghost", 1050, 1100), at("Two", 1100, 1200), at("ne", 1300, 1400)]);
    expect(captions.starts()).toEqual([100, 200, 1100, 1200]);
  });
});
