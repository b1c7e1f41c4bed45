import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ProviderError } from "../../server/core/errors.ts";
import { loadLanguageDetector } from "../../server/core/text/language.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice, type SpellingVoice } from "../support/spelling-voice.ts";
import { silenceMs, startHarness } from "./harness.ts";

await loadLanguageDetector();

const speaking = (name: string, ...languages: readonly string[]): SpellingVoice =>
  Object.assign(createSpellingVoice({ name }), { languages });

/** Runs one turn whose reply is this, spoken by these voices. */
async function turn(reply: string, synthesizers: readonly Synthesizer[], isImpatient = false) {
  await using harness = await startHarness({
    languageModels: [createScriptedLanguageModel([reply])],
    synthesizers,
    isImpatient,
  });
  const heard = await harness.turn();
  return { heard, log: harness.log, tier: harness.tier };
}

describe("a reply in several languages", () => {
  it("has each sentence spoken by a voice of its language", async () => {
    const [english, german, russian] = [
      speaking("en", "en"),
      speaking("de", "de"),
      speaking("ru", "ru"),
    ];
    const { heard } = await turn(
      "The train leaves from platform nine. Auf Deutsch heißt das: Der Zug fährt von Gleis neun ab. Поезд отправляется с девятого пути. Да.",
      [english, german, russian],
    );
    expect(heard.end).toBe("done");
    expect(english.texts).toEqual(["The train leaves from platform nine. "]);
    expect(german.texts).toEqual(["Auf Deutsch heißt das: Der Zug fährt von Gleis neun ab. "]);
    expect(russian.texts).toEqual(["Поезд отправляется с девятого пути. ", "Да."]);
  });

  it("brings the text of a language that no voice speaks, and neither transliterates nor hums it", async () => {
    const english = speaking("en", "en");
    const hum = Object.assign(createSpellingVoice({ name: "hum" }), {
      isLastResort: true as const,
    });
    const { heard, tier } = await turn("Поезд отправляется с девятого пути.", [english, hum]);
    expect(heard.text).toBe("Поезд отправляется с девятого пути.");
    expect(heard.pcm).toHaveLength(0);
    expect([english.texts, hum.texts]).toEqual([[], []]);
    expect(tier("en")).toMatchObject({ breaker: "CLOSED", failed: 0 });
  });
});

describe("a reply with one sentence that no voice speaks", () => {
  it("has the others spoken", async () => {
    const english = speaking("en", "en");
    const reply =
      "The train leaves from platform nine. Поезд отправляется с девятого пути. And that is all I know about it.";
    const { heard } = await turn(reply, [english]);
    expect(heard.text).toBe(reply);
    expect(english.texts).toEqual([
      "The train leaves from platform nine. ",
      "And that is all I know about it.",
    ]);
    expect(heard.status?.rawMessage).toContain("does not speak this language (ru)");
  });
});

describe("a reply with stretches that nobody says", () => {
  it("shows them, and has the rest spoken", async () => {
    const voice = speaking("en", "en");
    const reply =
      "Run this:\n```js\nstart();\n```\nThen see https://example.com/x.\n-----\n| a | b |\nThat is all.";
    const { heard } = await turn(reply, [voice]);
    expect([heard.text, heard.end]).toEqual([reply, "done"]);
    expect(voice.texts.map((text) => text.trim().replaceAll(/\s+/g, " "))).toEqual([
      "Run this:",
      "Then see .",
      "That is all.",
    ]);
  });
});

describe("a last resort", () => {
  it("speaks where every voice is down, and the log says so once", async () => {
    const down: Synthesizer = {
      name: "down",
      // biome-ignore lint/correctness/useYield: it fails before any sound.
      async *synthesize() {
        throw new ProviderError("down", "server", "failed");
      },
    };
    const hum = Object.assign(createSpellingVoice({ name: "hum" }), {
      isLastResort: true as const,
    });
    const { heard, log } = await turn("One two. Three four.", [down, hum]);
    expect(heard.end).toBe("done");
    expect(hum.texts).toEqual(["One two. ", "Three four."]);
    const lines = log.filter(({ message }) => message.startsWith("every voice is down"));
    expect(lines).toEqual([expect.objectContaining({ level: "error", tier: "hum" })]);
  });
});

describe("a voice with a queue of its own", () => {
  it("is not given up while a text waits in it, so that no hum takes over", async () => {
    const slow = createSpellingVoice({
      name: "slow",
      gate: () => new Promise((resolve) => setTimeout(resolve, 2 * silenceMs)),
    });
    const begunMs = performance.now();
    const queued = Object.assign(slow, { queuedMs: () => performance.now() - begunMs });
    const hum = Object.assign(createSpellingVoice({ name: "hum" }), {
      isLastResort: true as const,
    });
    const { heard } = await turn("One two.", [queued, hum], true);
    expect([heard.end, hum.texts]).toEqual(["done", []]);
  });

  it("has a turn beyond its capacity refused as a whole, with the time to retry after", async () => {
    const voice = Object.assign(createSpellingVoice(), { overloadMs: () => 3_400 });
    const { heard } = await turn("One two.", [voice]);
    expect(heard.text).toBe("");
    expect(heard.status?.code).toBe(Code.ResourceExhausted);
    expect(heard.status?.rawMessage).toContain("retry in 4 s");
    expect(voice.texts).toEqual([]);
  });
});
