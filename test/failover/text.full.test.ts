import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGeminiEmulator } from "../../emulators/gemini.ts";
import { startOpenaiEmulator } from "../../emulators/openai.ts";
import type { Emulator, EmulatorScript, FaultKind } from "../../emulators/script.ts";
import type { LanguageModel } from "../../server/models/language-model.ts";
import { createGeminiModel } from "../../server/providers/gemini/gemini.ts";
import { createLangchainModel } from "../../server/providers/langchain/langchain.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice, readSpelling } from "../support/spelling-voice.ts";
import { expectWhole, expectWordsOnce } from "./count-words.ts";
import { startHarness } from "./harness.ts";

// Deltas are cut inside words too: what was said may end in half of one.
const deltas = ["One tw", "o three. Fo", "ur five six.", " Seven ", "eight. Ni", "ne ten."];
const reply = deltas.join("");

const failing: readonly FaultKind[] = [
  "refuse",
  "unauthorized",
  "forbidden",
  "rate-limit",
  "quota",
  "html-500",
  "hang",
  "cut",
  "malformed",
];
/** Faults that break the connection, be it by a server that trips over its own answer. */
const breaks: ReadonlySet<FaultKind> = new Set(["refuse", "html-500", "cut"]);
const points = [
  { point: "before its first delta", afterParts: 0, partMs: 0 },
  // The pace lets what was said arrive: a connection that breaks takes what nobody read with it.
  { point: "in the middle of a word", afterParts: 1, partMs: 20 },
  { point: "after the first sentence was heard", afterParts: 3, partMs: 30 },
  { point: "at the border of two sentences", afterParts: 4, partMs: 20 },
] as const;

let gemini: Awaited<ReturnType<typeof startGeminiEmulator>>;
let openai: Awaited<ReturnType<typeof startOpenaiEmulator>>;
beforeAll(async () => {
  gemini = await startGeminiEmulator();
  openai = await startOpenaiEmulator();
});
afterAll(async () => {
  await gemini.stop();
  await openai.stop();
});

const tiers: Record<
  string,
  () => {
    readonly languageModel: LanguageModel;
    readonly emulator: Pick<Emulator<unknown>, "play" | "active">;
  }
> = {
  gemini: () => ({
    emulator: gemini,
    languageModel: createGeminiModel({ apiKey: "gemini-key", baseUrl: gemini.url, model: "m" }),
  }),
  langchain: () => ({
    emulator: openai,
    languageModel: createLangchainModel({
      model: "openai:m",
      openaiApiKey: "openai-key",
      openaiBaseUrl: `${openai.url}/v1`,
    }),
  }),
};

/** Goes on from what was said, to the end of the reply. */
const goesOn = () =>
  createScriptedLanguageModel(({ prefix = "" }) => {
    expect(reply.startsWith(prefix)).toBe(true);
    return [reply.slice(prefix.length)];
  }, "second");

describe.each(Object.entries(tiers))("a turn whose first model is %s", (name, open) => {
  const run = async (script: EmulatorScript) => {
    const { emulator, languageModel } = open();
    emulator.play(script);
    const second = goesOn();
    await using harness = await startHarness({
      languageModels: [languageModel, second],
      synthesizers: [createSpellingVoice()],
      isImpatient: script.fault?.kind === "hang",
    });
    const heard = await harness.turn();
    await expect.poll(emulator.active, { interval: 5 }).toBe(0);
    const { failovers } = JSON.parse(await harness.statusPage());
    return { heard, second, failed: harness.tier(name)?.failed, log: harness.log, failovers };
  };

  describe.each(points)("when it fails $point", ({ afterParts, partMs }) => {
    it.each(failing)("is heard whole, each word once, after the fault %s", async (kind) => {
      const { heard, second, failed, log, failovers } = await run({
        deltas,
        partMs,
        fault: { kind, afterParts },
      });
      expectWhole(heard, reply);
      expectWordsOnce(heard, reply);
      expect(readSpelling([heard.pcm])).toBe(reply);
      expect(failed).toBe(1);
      expect(second.prompts).toHaveLength(1);
      const said = second.prompts[0]?.prefix ?? "";
      const sent = deltas.slice(0, afterParts).join("");
      if (breaks.has(kind)) expect(sent.startsWith(said)).toBe(true);
      else expect(said).toBe(sent);
      const change = { from: name, to: "second", midway: said !== "" };
      expect(log).toContainEqual(expect.objectContaining({ level: "warn", ...change }));
      expect(failovers).toEqual([{ ...change, times: 1 }]);
    });
  });

  it("is heard whole, each word once, when the deltas drip", async () => {
    const { heard, second } = await run({ deltas, fault: { kind: "drip" } });
    expectWhole(heard, reply);
    expect(readSpelling([heard.pcm])).toBe(reply);
    expect(second.prompts).toEqual([]);
  });

  it("goes to the next model when the first answers nothing", async () => {
    const { heard } = await run({ deltas, fault: { kind: "empty" } });
    expectWhole(heard, reply);
    expect(readSpelling([heard.pcm])).toBe(reply);
  });

  it("takes the model's own end for the end, however early", async () => {
    const { heard, second } = await run({ deltas, fault: { kind: "empty", afterParts: 3 } });
    const said = deltas.slice(0, 3).join("");
    expectWhole(heard, said);
    expect(readSpelling([heard.pcm])).toBe(said);
    expect(second.prompts).toEqual([]);
  });
});
