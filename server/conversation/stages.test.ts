import { describe, expect, it } from "vitest";
import { ProviderError } from "../core/errors.ts";
import { createTier } from "../failover/tiers.ts";
import type { ReplyPart } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import type { TurnChunk } from "./reply.ts";
import { createStages } from "./stages.ts";

const timeouts = { firstPartMs: 1000, idleMs: 1000, totalMs: 1000 };
const sampleRateHz = 48_000;

/** Speaks 1,700 samples of each word, then fails. */
const failing: Synthesizer = {
  name: "failing",
  async *synthesize(text) {
    for (const _ of text.split(" ")) yield { pcm: new Int16Array(1700).fill(9), sampleRateHz };
    throw new ProviderError("failing", "server", "went away");
  },
};

const stages = createStages({
  languageModels: [],
  synthesizers: [createTier(failing, timeouts)],
  frameMs: 32,
});

/** The lengths of the chunks that came before the error. */
async function untilError(chunks: AsyncIterable<TurnChunk>, message: RegExp) {
  const lengths: number[] = [];
  const read = async () => {
    for await (const chunk of chunks) if (chunk.type === "audio") lengths.push(chunk.pcm.length);
  };
  await expect(read()).rejects.toThrow(message);
  return lengths;
}

describe("createStages", () => {
  it("sends all that a voice had said before it passes its failure on", async () => {
    const chunks = stages.speak("one two three", {}, new AbortController().signal);
    expect(await untilError(chunks, /went away/)).toEqual([1536, 1536, 1536, 492]);
  });

  it("cuts the voice of a speaking model into whole blocks but for its last chunk", async () => {
    for (const samples of [767, 768, 769, 1536, 5000]) {
      async function* parts(): AsyncGenerator<
        Extract<ReplyPart, { type: "audio" | "transcript" }>
      > {
        for (let left = samples; left > 0; left -= 100) {
          yield { type: "transcript", text: "word " };
          const pcm = new Int16Array(Math.min(100, left));
          yield { type: "audio", pcm, sampleRateHz: 24_000 };
        }
      }
      const lengths: number[] = [];
      for await (const chunk of stages.frame(parts())) {
        if (chunk.type === "audio") lengths.push(chunk.pcm.length);
      }
      const last = lengths.pop() ?? 0;
      expect(lengths.every((length) => length === 1536)).toBe(true);
      expect(lengths.length * 1536 + last).toBe(2 * samples);
      expect(last).toBeGreaterThan(0);
    }
  });

  it("sends all that a speaking model had said before it passes its failure on", async () => {
    async function* parts(): AsyncGenerator<Extract<ReplyPart, { type: "audio" }>> {
      yield { type: "audio", pcm: new Int16Array(1000), sampleRateHz: 24_000 };
      throw new Error("went away");
    }
    expect(await untilError(stages.frame(parts()), /went away/)).toEqual([1536, 464]);
  });
});
