import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOfflineModel } from "../../server/providers/offline.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice, readSpelling } from "../support/spelling-voice.ts";
import { startHarness } from "./harness.ts";
import { openProviders, type Services, startServices } from "./services.ts";

let services: Services;
let open: ReturnType<typeof openProviders>;
beforeAll(async () => {
  services = await startServices();
  open = openProviders(services, "k");
});
afterAll(() => services.stop());

describe("a reply that breaks off", () => {
  it.each([
    ["after a sentence", "The train leaves at nine.", "The train leaves at nine."],
    ["within a word", "The train leaves at ni", "The train leaves at"],
  ])(
    "%s ends there, is told as partial, and no notice is glued to it",
    async (_, said, heardText) => {
      services.gemini.play({ deltas: [said], fault: { kind: "cut", afterParts: 1 } });
      await using harness = await startHarness({
        languageModels: [open.gemini(), createOfflineModel()],
        synthesizers: [createSpellingVoice()],
      });
      const heard = await harness.turn();
      expect([heard.text, heard.end, heard.status]).toEqual([heardText, "done", undefined]);
      expect(readSpelling([heard.pcm])).toBe(heardText);
      expect(harness.log).toContainEqual(
        expect.objectContaining({ message: "turn", outcome: "partial" }),
      );
      expect(JSON.parse(await harness.statusPage()).turns).toEqual({ partial: 1 });
    },
  );
});

describe("a reply that is withheld for safety", () => {
  it("is a short spoken refusal, and no other model is asked unless FAILOVER_WITHHELD is set", async () => {
    for (const [FAILOVER_WITHHELD, text] of [
      ["false", "I'm sorry, I can't help with that."],
      ["true", "Gladly."],
    ] as const) {
      services.gemini.playEvents([{ candidates: [{ finishReason: "SAFETY" }] }]);
      await using harness = await startHarness({
        languageModels: [open.gemini(), createScriptedLanguageModel(["Gladly."])],
        synthesizers: [createSpellingVoice()],
        env: { FAILOVER_WITHHELD },
      });
      const heard = await harness.turn();
      expect([heard.text, heard.end]).toEqual([text, "done"]);
      expect(readSpelling([heard.pcm])).toBe(text);
      expect(harness.tier("gemini")).toMatchObject({ breaker: "CLOSED", failed: 0 });
    }
  });
});

describe("a turn whose voices all fail", () => {
  it("still brings the whole text, and the status says what failed", async () => {
    for (const emulator of [services.azure, services.edge])
      emulator.play({ fault: { kind: "html-500" } });
    await using harness = await startHarness({
      languageModels: [createScriptedLanguageModel(["One two. ", "Three four. ", "Five."])],
      synthesizers: [open.azure(), open.edge()],
    });
    const heard = await harness.turn();
    expect(heard.text).toBe("One two. Three four. Five.");
    expect(heard.pcm).toHaveLength(0);
    expect(heard.status?.code).toBe(Code.Unavailable);
    expect(heard.errorMessage).toMatch(/azure: .*edge: /);
  });
});

describe("the time of a turn", () => {
  it("does not pass while the client plays what it has, so that it hears a long reply to its end", async () => {
    const words = "word ".repeat(120).trim();
    await using harness = await startHarness({
      languageModels: [createScriptedLanguageModel([`${words}.`])],
      synthesizers: [createSpellingVoice()],
      env: { MAX_PROCESSING_TIME: "1", TEXT_TIMEOUT: "2", SPEECH_TIMEOUT: "2" },
    });
    const begunMs = performance.now();
    const heard = await harness.turn({ readMs: 40 });
    expect(performance.now() - begunMs).toBeGreaterThan(1500);
    expect([heard.end, heard.status]).toEqual(["done", undefined]);
    expect(readSpelling([heard.pcm])).toBe(`${words}.`);
  });

  it("leaves something for the last tier though three models and two voices hang", async () => {
    const fault = { fault: { kind: "hang" } } as const;
    for (const emulator of [
      services.live,
      services.gemini,
      services.openai,
      services.azure,
      services.edge,
    ]) {
      emulator.play(fault);
    }
    await using harness = await startHarness({
      languageModels: [open.live(), open.gemini(), open.langchain(), createOfflineModel()],
      synthesizers: [open.azure(), open.edge(), createSpellingVoice()],
      env: { MAX_PROCESSING_TIME: "6", TEXT_TIMEOUT: "15" },
    });
    const begunMs = performance.now();
    const heard = await harness.turn();
    expect(heard.end).toBe("done");
    expect(readSpelling([heard.pcm])).toBe(heard.text);
    expect(performance.now() - begunMs).toBeLessThan(6000);
  });
});
