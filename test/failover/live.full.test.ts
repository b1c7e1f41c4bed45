import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GeminiLiveEmulator, startGeminiLiveEmulator } from "../../emulators/gemini-live.ts";
import type { EmulatorScript, FaultKind } from "../../emulators/script.ts";
import { wordsOf } from "../../server/failover/words.ts";
import { createGeminiLiveModel } from "../../server/providers/gemini-live/gemini-live.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice, readSpelling } from "../support/spelling-voice.ts";
import { expectWhole, expectWordsOnce } from "./count-words.ts";
import { startHarness } from "./harness.ts";

const deltas = ["One two ", "three. ", "Four five ", "six. ", "Seven eight."];
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
const points = [
  { point: "before its first sound", afterParts: 0 },
  { point: "in the middle of a sentence", afterParts: 1 },
  { point: "after its first sentence", afterParts: 2 },
  { point: "after its last word", afterParts: deltas.length },
] as const;

/** Samples of 48 kHz that the emulated model spends on a letter: 5 ms. */
const liveSamplesALetter = 240;

let live: GeminiLiveEmulator;
beforeAll(async () => {
  live = await startGeminiLiveEmulator();
});
afterAll(() => live.stop());

async function run(script: EmulatorScript) {
  live.play(script);
  const second = createScriptedLanguageModel(
    ({ prefix = "" }) => [reply.slice(prefix.length)],
    "second",
  );
  const voice = createSpellingVoice();
  await using harness = await startHarness({
    languageModels: [
      createGeminiLiveModel({
        apiKey: "live-key",
        baseUrl: live.url,
        model: "m",
        warmConnections: 1,
      }),
      second,
    ],
    synthesizers: [voice],
    isImpatient: script.fault?.kind === "hang",
  });
  const heard = await harness.turn();
  await expect.poll(live.active, { interval: 5 }).toBe(0);
  return { heard, second, voice, log: harness.log, failed: harness.tier("gemini-live")?.failed };
}

/** What the model itself said: each letter read in its middle, where the resampler has settled. */
function readLive(pcm: Int16Array): string {
  return Array.from({ length: Math.round(pcm.length / liveSamplesALetter) }, (_, letter) =>
    String.fromCharCode(pcm[(letter + 0.5) * liveSamplesALetter] ?? 0),
  ).join("");
}

describe("a turn whose first model speaks by itself", () => {
  describe.each(points)("when it fails $point", ({ afterParts }) => {
    it.each(failing)("keeps what was heard, and goes on, after the fault %s", async (kind) => {
      const { heard, second, voice, failed } = await run({ deltas, fault: { kind, afterParts } });
      const said = deltas.slice(0, afterParts).join("");
      const missing = reply.slice(said.length);
      expectWhole(heard, reply);
      expect(failed).toBe(1);
      expect(second.prompts.map(({ prefix = "" }) => prefix)).toEqual([said]);
      const border = said.length * liveSamplesALetter;
      expect(readLive(heard.pcm.subarray(0, border))).toBe(said);
      expect(readSpelling([heard.pcm.subarray(border)])).toBe(missing);
      expect(voice.texts.join("")).toBe(missing);
      expectWordsOnce(heard, reply);
      const later = heard.words.slice(wordsOf(said).length);
      for (const { startSample } of later) expect(startSample).toBeGreaterThanOrEqual(border);
    });
  });

  it("is heard whole when the messages drip", async () => {
    const { heard, second } = await run({ deltas, fault: { kind: "drip" } });
    expectWhole(heard, reply);
    expect(readLive(heard.pcm)).toBe(reply);
    expectWordsOnce(heard, reply);
    expect(second.prompts).toEqual([]);
  });

  it("is heard at its proper pace when the sound has another rate, which it states", async () => {
    const { heard } = await run({ deltas, fault: { kind: "wrong-rate" } });
    expectWhole(heard, reply);
    // The emulated voice spends as many samples on a letter at 16 kHz as at 24.
    expect(heard.pcm).toHaveLength(reply.length * liveSamplesALetter * 1.5);
  });

  it("goes to the next model when the first says nothing", async () => {
    const { heard, voice } = await run({ deltas, fault: { kind: "empty" } });
    expectWhole(heard, reply);
    expect(voice.texts.join("")).toBe(reply);
  });
});
