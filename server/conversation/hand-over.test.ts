import { describe, expect, it } from "vitest";
import { createScriptedLanguageModel } from "../../test/support/scripted-language-model.ts";
import {
  createSpellingVoice,
  readSpelling,
  SAMPLES_A_LETTER,
} from "../../test/support/spelling-voice.ts";
import { ProviderError } from "../core/errors.ts";
import { createTier } from "../failover/tiers.ts";
import type { LanguageModel, ReplyPart } from "../models/language-model.ts";
import { runTurn, type TurnChunk } from "./reply.ts";
import { createStages } from "./stages.ts";
import { parseTurn } from "./turn-request.ts";

const timeouts = { firstPartMs: 1000, idleMs: 1000, totalMs: 1000 };
const down = (name: string) => new ProviderError(name, "server", "went away");

async function talk(...languageModels: readonly LanguageModel[]) {
  const voice = createSpellingVoice();
  const stages = createStages({
    languageModels: languageModels.map((each) => createTier(each, timeouts)),
    synthesizers: [createTier(voice, timeouts)],
    frameMs: 32,
  });
  const request = parseTurn({ prompt: "p", hardware_id: "d" });
  const chunks: TurnChunk[] = [];
  for await (const batch of runTurn(request, stages, new AbortController().signal))
    chunks.push(...batch);
  const text = chunks.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("");
  const audio = chunks.filter((chunk) => chunk.type === "audio");
  const spoken = readSpelling(audio.map(({ pcm }) => pcm));
  return { text, spoken, voice, audio, words: audio.flatMap(({ words = [] }) => words) };
}

/** A model that speaks by itself: each letter of its words is sound that spells it. */
function speaking(parts: readonly (string | Error)[]): LanguageModel {
  return {
    name: "speaking",
    async *generate(): AsyncGenerator<ReplyPart> {
      for (const part of parts) {
        if (part instanceof Error) throw part;
        yield { type: "transcript", text: part };
        for (const letter of part) {
          const pcm = new Int16Array(SAMPLES_A_LETTER).fill(letter.charCodeAt(0));
          yield { type: "audio", pcm, sampleRateHz: 48_000 };
        }
      }
    },
  };
}

describe("runTurn, when a tier fails midway", () => {
  it("has the next language model go on from what was said, each word once", async () => {
    const first = createScriptedLanguageModel(["One two. Thr", down("first")], "first");
    const second = createScriptedLanguageModel(
      ({ prefix = "" }) => ["One two. Three four.".slice(prefix.length)],
      "second",
    );
    const { text, spoken } = await talk(first, second);
    expect(text).toBe("One two. Three four.");
    expect(spoken).toBe(text);
    expect(second.prompts).toMatchObject([{ text: "p", prefix: "One two. Thr" }]);
  });

  it("passes the voice of a model that speaks by itself on, unspoken by any other", async () => {
    const { text, spoken, voice, words } = await talk(speaking(["Hello ", "you."]));
    expect([text, spoken]).toEqual(["Hello you.", "Hello you."]);
    const [hello, you] = words.map(({ startSample }) => startSample / SAMPLES_A_LETTER);
    expect([hello, you]).toEqual([0, "Hello ".length]);
    expect(voice.texts).toEqual([]);
  });

  it("goes on in writing when a model that speaks by itself fails", async () => {
    const { text, spoken, voice } = await talk(
      speaking(["Hello ", down("speaking")]),
      createScriptedLanguageModel(["there, ", "you."], "second"),
    );
    expect([text, spoken]).toEqual(["Hello there, you.", "Hello there, you."]);
    expect(voice.texts).toEqual(["there, you."]);
  });

  it("counts the samples of words from the start of the turn", async () => {
    const { words, spoken } = await talk(createScriptedLanguageModel(["One. ", "Two three."]));
    const heard = words.map(({ startSample, endSample }) =>
      spoken.slice(startSample / SAMPLES_A_LETTER, endSample / SAMPLES_A_LETTER),
    );
    expect(words.map(({ word }) => word)).toEqual(["One", "Two", "three"]);
    expect(words[1]?.startSample).toBeGreaterThanOrEqual(5 * SAMPLES_A_LETTER);
    expect(heard).toHaveLength(3);
  });
});
