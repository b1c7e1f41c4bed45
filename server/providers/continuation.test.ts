import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ReplyPart } from "../models/language-model.ts";
import { withoutRepeat } from "./continuation.ts";

describe("withoutRepeat", () => {
  it("drops an exact repeat, however it is split, and nothing else", async () => {
    const words = fc.stringMatching(/^\S(.*\S)?$/u);
    await fc.assert(
      fc.asyncProperty(words, fc.string(), fc.array(fc.nat(20)), async (said, rest, cuts) => {
        expect(await read(cut(said + rest, cuts), said)).toBe(rest);
      }),
    );
  });

  it("passes a reply that continues correctly", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.array(fc.nat(20)), async (rest, cuts) => {
        const reply = `#${rest}`;
        expect(await read(cut(reply, cuts), "Once upon a time")).toBe(reply);
      }),
    );
  });

  it.each([
    ["a beginning that differs later", "The cat sat", ["The ", "cat", " ran"], "The cat ran"],
    ["a reply that is only a beginning", "The cat sat", ["The"], "The"],
    ["white space that is already there", "The cat. ", ["  It", " sat"], "It sat"],
    ["white space after a repeat", "The cat ", ["The cat", " sat"], "sat"],
    ["a space that is missing after a full stop", "The cat.", ["It sat"], " It sat"],
    ["a space that came by itself", "The cat.", [" ", "It sat"], " It sat"],
    ["a word that was cut", "The ca", ["t sat"], "t sat"],
    ["nothing", "The cat", [], ""],
  ])("joins the words: %s", async (_, said, deltas, expected) => {
    expect(await read(deltas, said)).toBe(expected);
  });

  it("drops the audio of what was repeated", async () => {
    const parts = [...voice("The cat", 1), ...voice(" sat", 2), ...voice(" down", 3)];
    expect(await sounds(parts, "The cat sat")).toEqual([3]);
  });

  it("keeps the audio of what was not repeated", async () => {
    const parts = [...voice("The", 1), ...voice(" dog", 2)];
    expect(await sounds(parts, "The cat sat")).toEqual([1, 2]);
  });

  it("passes everything without a prefix", async () => {
    expect(await read(["a", "", "b"], undefined)).toBe("ab");
  });
});

function voice(text: string, sample: number): ReplyPart[] {
  const pcm = Int16Array.of(sample);
  return [
    { type: "transcript", text },
    { type: "audio", pcm, sampleRateHz: 24_000 },
  ];
}

async function sounds(parts: readonly ReplyPart[], said: string): Promise<number[]> {
  const left = await Array.fromAsync(withoutRepeat(from(parts), said));
  return left.flatMap((part) => (part.type === "audio" ? [...part.pcm] : []));
}

async function read(deltas: readonly string[], said: string | undefined): Promise<string> {
  const parts = deltas.map((text) => ({ type: "text" as const, text }));
  const left = await Array.fromAsync(withoutRepeat(from(parts), said));
  return left.map((part) => (part.type === "audio" ? "" : part.text)).join("");
}

async function* from(parts: readonly ReplyPart[]): AsyncGenerator<ReplyPart> {
  yield* parts;
}

function cut(text: string, sizes: readonly number[]): string[] {
  const deltas: string[] = [];
  let at = 0;
  for (const size of sizes) {
    deltas.push(text.slice(at, at + size));
    at += size;
  }
  return [...deltas, text.slice(at)];
}
