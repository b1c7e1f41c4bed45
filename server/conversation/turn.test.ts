import { getEventListeners } from "node:events";
import { setImmediate as turnOfLoop } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createScriptedLanguageModel,
  type ReplyStep,
} from "../../test/support/scripted-language-model.ts";
import { createSpellingVoice, readSpelling } from "../../test/support/spelling-voice.ts";
import { NoProviderLeft, ProviderError } from "../core/errors.ts";
import { createTier } from "../failover/tiers.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import { runTurn, type TurnChunk } from "./reply.ts";
import { createStages } from "./stages.ts";
import { parseTurn } from "./turn-request.ts";

const timeouts = { firstPartMs: 60_000, idleMs: 60_000, totalMs: 60_000 };
const never = new Promise<never>(() => undefined);
const live = () => new AbortController().signal;

function talk(
  script: readonly ReplyStep[],
  voice: Synthesizer = createSpellingVoice(),
  signal = live(),
) {
  const languageModel = createScriptedLanguageModel(script);
  const options = {
    languageModels: [createTier(languageModel, timeouts)],
    synthesizers: [createTier(voice, timeouts)],
    frameMs: 96,
  };
  const stages = createStages(options);
  const chunks = oneByOne(runTurn(parseTurn({ prompt: "p", hardware_id: "d" }), stages, signal));
  return { languageModel, chunks };
}

const textOf = (chunks: readonly TurnChunk[]) =>
  chunks.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("");
const pcmOf = (chunks: readonly TurnChunk[]) =>
  chunks.flatMap((chunk) => (chunk.type === "audio" ? [chunk.pcm] : []));
const shapeOf = (chunks: readonly TurnChunk[]) =>
  chunks.map((chunk) => (chunk.type === "text" ? chunk.text : chunk.pcm.length));

async function* oneByOne(batches: AsyncIterable<readonly TurnChunk[]>) {
  for await (const batch of batches) yield* batch;
}

describe("runTurn", () => {
  it("yields each sentence's text, and then its voice in frames of which only the last is short", async () => {
    const chunks = await Array.fromAsync(talk(["Hello there. ", "Bye."]).chunks);
    const [hello, bye] = [13 * 480, 4 * 480];
    expect(shapeOf(chunks)).toEqual(["Hello there. ", 4608, hello - 4608, "Bye.", bye]);
    expect(readSpelling(pcmOf(chunks))).toBe("Hello there. Bye.");
  });

  it("gives the reply letter by letter, whatever the cut of its deltas", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("Yes", ".", " ", "\n", "A b", "!", "…", "3.5", "да", "。", "“q”")),
        async (deltas) => {
          fc.pre(deltas.join("") !== "");
          const chunks = await Array.fromAsync(talk(deltas).chunks);
          expect(textOf(chunks)).toBe(deltas.join(""));
          expect(
            chunks.every((chunk) => (chunk.type === "text" ? chunk.text : chunk.pcm).length > 0),
          ).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("speaks one word, and a tail without a full stop", async () => {
    for (const reply of ["Yes", "First. and then some"]) {
      const chunks = await Array.fromAsync(talk([reply]).chunks);
      expect(readSpelling(pcmOf(chunks))).toBe(reply);
    }
  });

  it("sends text without a letter or digit, and does not speak it", async () => {
    const voice = createSpellingVoice();
    const chunks = await Array.fromAsync(talk(["Wow.\n", "—\n", "…\n", "So."], voice).chunks);
    expect(textOf(chunks)).toBe("Wow.\n—\n…\nSo.");
    expect(voice.texts.every((text) => /\w/.test(text))).toBe(true);
  });

  it("speaks the first clause of a long sentence while the rest is still being written", async () => {
    const opening = "When the rain had stopped at last over the hills,";
    const { chunks } = talk([opening, " we", never]);
    expect((await chunks.next()).value).toMatchObject({ type: "text" });
    expect((await chunks.next()).value).toMatchObject({ type: "audio" });
    chunks.return(undefined);
  });

  it("prepares two sentences ahead of the one being sent, and no more", async () => {
    const voice = createSpellingVoice();
    const { chunks } = talk(["One. ", "Two. ", "Three. ", "Four. ", "Five. ", "Six."], voice);
    await chunks.next();
    for (let i = 0; i < 50; i++) await turnOfLoop();
    expect(voice.texts).toEqual(["One. ", "Two. ", "Three. "]);
    await chunks.return(undefined);
  });

  it("tells the voice whose sentences they are, so that it can be fair", async () => {
    const keys: unknown[] = [];
    const voice = createSpellingVoice();
    const listening: Synthesizer = {
      ...voice,
      synthesize(text, how, signal) {
        keys.push(how.queueKey);
        return voice.synthesize(text, how, signal);
      },
    };
    await Array.fromAsync(talk(["One. ", "Two. ", "Three."], listening).chunks);
    expect(keys).toEqual(["d", "d", "d"]);
  });

  it("speaks the next sentence while the present one is still being made", async () => {
    const first = Promise.withResolvers<void>();
    const voice = createSpellingVoice({
      gate: (text) => (text === "One. " ? first.promise : undefined),
    });
    const { chunks } = talk(["One. ", "Two. "], voice);
    await chunks.next();
    for (let i = 0; i < 20; i++) await turnOfLoop();
    expect(voice.texts).toEqual(["One. ", "Two. "]);
    first.resolve();
    expect(readSpelling(pcmOf(await Array.fromAsync(chunks)))).toBe("One. Two. ");
  });

  it("throws the signal's reason at once though the language model hangs, and releases it", async () => {
    const aborter = new AbortController();
    const voice = createSpellingVoice();
    const { chunks, languageModel } = talk(["One. T", never], voice, aborter.signal);
    await chunks.next();
    await chunks.next();
    const parked = Array.fromAsync(chunks);
    aborter.abort(new Error("interrupted"));
    await expect(parked).rejects.toThrow("interrupted");
    await turnOfLoop();
    expect(languageModel.cancels()).toBe(1);
    expect(voice.active()).toBe(0);
    expect(getEventListeners(aborter.signal, "abort")).toHaveLength(0);
  });

  it("releases the providers when the reader leaves", async () => {
    const voice = createSpellingVoice({
      gate: (text) => (text.startsWith("Two") ? never : undefined),
    });
    const { chunks } = talk(["One. ", "Two. ", "Three. ", "Four. "], voice);
    for await (const chunk of chunks) if (chunk.type === "audio") break;
    for (let i = 0; i < 10; i++) await turnOfLoop();
    expect(voice.active()).toBe(0);
  });

  it("says all that came before a failure of the language model, and then throws it", async () => {
    const failure = new ProviderError("scripted", "server", "went away");
    const { chunks } = talk(["One. Two and", failure]);
    const got: TurnChunk[] = [];
    const reading = (async () => {
      for await (const chunk of chunks) got.push(chunk);
    })();
    await expect(reading).rejects.toThrow("went away");
    expect(readSpelling(pcmOf(got))).toBe("One. Two and");
  });

  it("throws every cause when no voice is left", async () => {
    const mute: Synthesizer = { name: "mute", synthesize: async function* () {} };
    await expect(Array.fromAsync(talk(["One."], mute).chunks)).rejects.toThrow(NoProviderLeft);
  });
});
