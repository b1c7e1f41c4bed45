import { describe, expect, it } from "vitest";
import { ProviderError } from "../core/errors.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../models/language-model.ts";
import { generateReply } from "./text.ts";
import { createTier } from "./tier.ts";

const timeouts = { firstPartMs: 1000, idleMs: 1000, totalMs: 1000 };
const broken = new ProviderError("x", "server", "broke off");
const audio = { pcm: new Int16Array(1600), sampleRateHz: 16_000 } as const;

function createModel(steps: readonly (ReplyPart | Error)[], hears = false) {
  const prompts: Prompt[] = [];
  const model: LanguageModel = {
    name: hears ? "hearing" : "deaf",
    hears,
    async *generate(prompt) {
      prompts.push(prompt);
      for (const step of steps) {
        if (step instanceof Error) throw step;
        yield step;
      }
    },
  };
  return { model, prompts };
}

const heard = (text: string): ReplyPart => ({ type: "heard", text });
const text = (words: string): ReplyPart => ({ type: "text", text: words });

async function run(models: readonly LanguageModel[], prompt: Prompt) {
  const told: string[] = [];
  const tiers = models.map((model) => createTier(model, timeouts));
  const onHeard = (words: string) => void told.push(words);
  const reply = generateReply({ tiers, onHeard }, prompt, new AbortController().signal);
  const parts = (await Array.fromAsync(reply)).flat().map(({ part }) => part);
  return { parts, told };
}

describe("generateReply, of a prompt that came as sound", () => {
  it("tells what a model hears, which is no part of the reply", async () => {
    const { model, prompts } = createModel([heard("Good "), text("Yes."), heard("day.")], true);
    const { parts, told } = await run([model], { text: "", audio });
    expect(parts).toEqual([text("Yes.")]);
    expect(told).toEqual(["Good ", "Good day."]);
    expect(prompts).toMatchObject([{ text: "", audio }]);
  });

  it("skips a model that does not hear, as long as the words are not known", async () => {
    const [deaf, hearing] = [createModel([text("No.")]), createModel([text("Yes.")], true)];
    const { parts } = await run([deaf.model, hearing.model], { text: "", audio });
    expect(parts).toEqual([text("Yes.")]);
    expect(deaf.prompts).toEqual([]);
    await expect(run([deaf.model], { text: "", audio })).rejects.toThrow();
  });

  it("gives the words, and no sound, to a model that goes on without ears", async () => {
    const hearing = createModel([heard("Who is it?"), text("It is "), broken], true);
    const deaf = createModel([text("me.")]);
    const { parts } = await run([hearing.model, deaf.model], { text: "", audio });
    expect(parts).toEqual([text("It is "), text("me.")]);
    expect(deaf.prompts).toMatchObject([{ text: "Who is it?", prefix: "It is " }]);
    expect(deaf.prompts[0]).not.toHaveProperty("audio");
  });

  it("lets a second model that hears begin with the sound", async () => {
    const first = createModel([heard("Who"), broken], true);
    const second = createModel([heard("Who is it?"), text("Me.")], true);
    const { told } = await run([first.model, second.model], { text: "", audio });
    expect(second.prompts).toMatchObject([{ text: "", audio }]);
    expect(told).toEqual(["Who", "Who is it?"]);
  });
});
