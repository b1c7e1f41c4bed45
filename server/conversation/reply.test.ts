import { setImmediate as turnOfLoop } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTier } from "../failover/tier.ts";
import { wordsOf } from "../failover/words.ts";
import type { LanguageModel, ReplyPart } from "../models/language-model.ts";
import { createTranscriptWords, replySegments, type TurnChunk } from "./reply.ts";

const timeouts = { firstPartMs: 1000, idleMs: 1000, totalMs: 1000 };
const text = (words: string): ReplyPart => ({ type: "text", text: words });
const transcript = (words: string): ReplyPart => ({ type: "transcript", text: words });
const audio = (samples: number): ReplyPart => ({
  type: "audio",
  pcm: new Int16Array(samples),
  sampleRateHz: 24_000,
});

function play(parts: Iterable<ReplyPart | Error>, left?: () => void): LanguageModel {
  return {
    name: "played",
    async *generate() {
      try {
        for (const part of parts) {
          if (part instanceof Error) throw part;
          yield part;
        }
      } finally {
        left?.();
      }
    },
  };
}

function segmentsOf(parts: Iterable<ReplyPart | Error>, left?: () => void) {
  const tiers = {
    languageModels: [createTier(play(parts, left), timeouts)],
    synthesizers: [],
    samplesPerChunk: 1536,
  };
  const request = { prompt: { text: "p" }, verbatim: false, voice: {}, sent: () => 0 };
  return replySegments(tiers, request, new AbortController().signal);
}

/** Each segment's text, or all chunks of a voice; an error ends it. */
async function read(parts: Iterable<ReplyPart | Error>) {
  const got: (string | TurnChunk[])[] = [];
  try {
    for await (const segment of segmentsOf(parts)) {
      if (segment.text !== undefined) got.push(segment.text);
      else got.push((await Array.fromAsync(segment.chunks ?? [])).flat());
    }
  } catch (error) {
    got.push((error as Error).message);
  }
  return got;
}

const lengthsOf = (chunks: string | TurnChunk[] = []) =>
  typeof chunks === "string"
    ? []
    : chunks.flatMap((chunk) => (chunk.type === "audio" ? [chunk.pcm.length] : []));

describe("replySegments", () => {
  it("cuts a reply where its kind changes", async () => {
    const got = await read([transcript("a"), audio(1), text("—"), text("…"), audio(1)]);
    expect(got).toEqual([
      [{ type: "text", text: "a" }, expect.objectContaining({ type: "audio" })],
      "—…",
      [expect.objectContaining({ type: "audio" })],
    ]);
  });

  it("calls an empty reply an error, and yields nothing", async () => {
    expect(await read([])).toEqual([expect.stringContaining("ended without an answer")]);
  });

  it("returns the reply when its reader leaves", async () => {
    let returned = false;
    const parts = [text("—\n"), text("—\n"), text("—\n")];
    for await (const _ of segmentsOf(parts, () => {
      returned = true;
    })) {
      break;
    }
    await turnOfLoop();
    expect(returned).toBe(true);
  });

  it("cuts the voice of a speaking model into whole blocks but for its last chunk", async () => {
    for (const samples of [767, 768, 769, 1536, 5000]) {
      const parts: ReplyPart[] = [];
      for (let left = samples; left > 0; left -= 100) {
        parts.push(transcript("word "), audio(Math.min(100, left)));
      }
      const [chunks] = await read(parts);
      const lengths = lengthsOf(chunks);
      const last = lengths.pop() ?? 0;
      expect(lengths.every((length) => length === 1536)).toBe(true);
      expect(lengths.length * 1536 + last).toBe(2 * samples);
      expect(last).toBeGreaterThan(0);
    }
  });

  it("sends all that a speaking model had said before it passes its failure on", async () => {
    const [chunks, error] = await read([audio(1000), new Error("went away")]);
    expect(lengthsOf(chunks)).toEqual([1536, 464]);
    expect(error).toContain("failed unexpectedly");
  });

  it("bounds what waits of a transcript without sound", async () => {
    let pulled = 0;
    const endless = function* () {
      for (;;) {
        pulled += 1;
        yield transcript("x".repeat(1000));
      }
    };
    const segments = segmentsOf(endless())[Symbol.asyncIterator]();
    const { value } = await segments.next();
    for (let at = 0; at < 100; at++) await turnOfLoop();
    expect(pulled).toBeGreaterThan(10);
    expect(pulled).toBeLessThan(20);
    await value?.chunks?.[Symbol.asyncIterator]().return?.();
  });
});

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
