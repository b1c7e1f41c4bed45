import { setImmediate as turnOfLoop } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createTier } from "../failover/tier.ts";
import type { LanguageModel, ReplyPart } from "../models/language-model.ts";
import { replySegments, type TurnChunk } from "./reply.ts";

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
  const request = {
    prompt: { text: "p" },
    verbatim: false,
    voice: {},
    sent: () => 0,
    isMute: () => false,
    onPartial: () => undefined,
  };
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
      [
        { type: "text", text: "a", source: { tier: "played" } },
        expect.objectContaining({ type: "audio" }),
      ],
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

  it("sends all that a speaking model had said when it fails and none can continue", async () => {
    const got = await read([audio(1000), new Error("went away")]);
    expect(got.map((chunks) => lengthsOf(chunks))).toEqual([[1536, 464]]);
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
