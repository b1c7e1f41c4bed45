import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice, readSpelling } from "../support/spelling-voice.ts";
import { expectTonesOnce, expectWordsOnce } from "./count-words.ts";
import { type Harness, startHarness, statusName } from "./harness.ts";
import { openProviders, type Services, startServices } from "./services.ts";
import type { Transcript } from "./transcript.ts";

const key = "sk-nobody-may-see-4711";

let services: Services;
let open: ReturnType<typeof openProviders>;
beforeAll(async () => {
  services = await startServices();
  open = openProviders(services, key);
});
afterAll(() => services.stop());

/** Expects that a key is nowhere that anybody but the provider can look. */
async function expectNoSecret(harness: Harness, heard: Transcript): Promise<void> {
  const { status, errorMessage } = heard;
  const trailers = [...(status?.metadata ?? [])];
  const shown = [status?.message, errorMessage, trailers, harness.log, await harness.statusPage()];
  expect(JSON.stringify(shown)).not.toContain(key);
}

function statusOf({ status }: Transcript): string {
  return status ? statusName(status.code) : "OK";
}

/** What a provider's fault is called in the list of causes; the wire cannot always tell. */
const faults = [
  { kind: "refuse", cause: /connection/ },
  { kind: "unauthorized", cause: /key is not valid/ },
  { kind: "forbidden", cause: /no access/ },
  { kind: "rate-limit", cause: /too many requests/ },
  { kind: "quota", cause: /no credit left/ },
  { kind: "html-500", cause: /failed/ },
  { kind: "hang", cause: /no part for/ },
  { kind: "cut", cause: /connection|read/ },
  { kind: "empty", cause: /without an answer|empty/ },
  { kind: "malformed", cause: /cannot be read/ },
] as const;

const isImpatient = (kind: string) => kind === "hang";

describe.each(faults)("a turn when every tier has the fault $kind", ({ kind, cause }) => {
  const fault = { fault: { kind } };

  it("ends with UNAVAILABLE and each model's cause, nothing heard, no key shown", async () => {
    for (const emulator of [services.live, services.gemini, services.openai]) emulator.play(fault);
    await using harness = await startHarness({
      languageModels: [open.live(), open.gemini(), open.langchain()],
      synthesizers: [createSpellingVoice()],
      isImpatient: isImpatient(kind),
    });
    const heard = await harness.turn();
    expect(statusOf(heard)).toBe("UNAVAILABLE");
    expect([heard.text, heard.pcm.length, heard.errorMessage]).toEqual(["", 0, undefined]);
    const message = heard.status?.rawMessage ?? "";
    const causes = message.slice(message.indexOf("(") + 1).split("; ");
    expect(causes.map((each) => each.split(":")[0])).toEqual([
      "gemini-live",
      "gemini",
      "langchain",
    ]);
    for (const each of causes) expect(each).toMatch(cause);
    await expectNoSecret(harness, heard);
  });

  it("ends with UNAVAILABLE and each voice's cause behind the text, no key shown", async () => {
    for (const emulator of [services.azure, services.edge]) emulator.play(fault);
    await using harness = await startHarness({
      languageModels: [createScriptedLanguageModel(["One two."])],
      synthesizers: [open.azure(), open.edge()],
      isImpatient: isImpatient(kind),
    });
    const heard = await harness.turn();
    expect(statusOf(heard)).toBe("UNAVAILABLE");
    expect([heard.text, heard.pcm.length, heard.end]).toEqual(["One two.", 0, undefined]);
    expect(heard.errorMessage).toBe(heard.status?.rawMessage);
    expect(heard.errorMessage).toMatch(/azure: .*; edge: /);
    await expectNoSecret(harness, heard);
  });
});

describe.each(faults.filter(({ kind }) => kind !== "empty"))(
  "a turn whose only tier has the fault $kind midway",
  ({ kind }) => {
    it("shows and speaks what the model had said, up to its last whole word, and ends as partial", async () => {
      const deltas = ["One two. Th", "ree four."];
      services.gemini.play({ deltas, partMs: 20, fault: { kind, afterParts: 1 } });
      await using harness = await startHarness({
        languageModels: [open.gemini()],
        synthesizers: [createSpellingVoice()],
        isImpatient: isImpatient(kind),
      });
      const heard = await harness.turn();
      // A connection that is reset may take what was not read yet with it.
      const isLost = (kind === "refuse" || kind === "cut") && heard.text === "";
      expect(heard.text).toBe(isLost ? "" : "One two. ");
      expect(readSpelling([heard.pcm])).toBe(heard.text);
      expect([statusOf(heard), heard.end]).toEqual(
        isLost ? ["UNAVAILABLE", undefined] : ["OK", "done"],
      );
      expect(harness.tier("gemini")?.lastError).toContain("gemini: ");
      await expectNoSecret(harness, heard);
    });

    it("speaks the words that the voice had said, then an error and UNAVAILABLE", async () => {
      services.azure.play({ fault: { kind, afterParts: 3 } });
      await using harness = await startHarness({
        languageModels: [createScriptedLanguageModel(["One two three four."])],
        synthesizers: [open.azure()],
        isImpatient: isImpatient(kind),
      });
      const heard = await harness.turn();
      expect(statusOf(heard)).toBe("UNAVAILABLE");
      expect(heard.errorMessage).toContain("azure: ");
      // The fault comes right behind the sound, which must be heard all the same.
      const said = "One two three";
      expectWordsOnce(heard, said);
      expectTonesOnce(heard, said);
      await expectNoSecret(harness, heard);
    });
  },
);
