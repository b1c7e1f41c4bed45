import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAzureEmulator } from "../../emulators/azure.ts";
import { startEdgeEmulator } from "../../emulators/edge.ts";
import type { SpeechEmulator } from "../../emulators/microsoft-speech-server.ts";
import type { FaultKind } from "../../emulators/script.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { createAzureVoice } from "../../server/providers/azure/azure.ts";
import { createEdgeVoice } from "../../server/providers/edge/edge.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { expectTonesOnce, expectWhole, expectWordsOnce, onsetsOf } from "./count-words.ts";
import { startHarness } from "./harness.ts";

const reply = "One two three four five. Six seven eight nine ten.";
const wordsASentence = 5;

const failing: readonly FaultKind[] = [
  "refuse",
  "unauthorized",
  "forbidden",
  "rate-limit",
  "quota",
  "html-500",
  "hang",
  "cut",
  "empty",
  "malformed",
];
const points = [
  ["before its first sound", 0],
  ["after its first words", 2],
  ["in the middle of a sentence", 3],
  ["after its last word", wordsASentence],
] as const;

let azure: SpeechEmulator;
let edge: SpeechEmulator;
beforeAll(async () => {
  azure = await startAzureEmulator();
  edge = await startEdgeEmulator();
});
afterAll(async () => {
  await azure.stop();
  await edge.stop();
});

const voices = {
  azure: () => createAzureVoice({ apiKey: "azure-key", host: azure.url }),
  edge: () => createEdgeVoice({ endpoint: edge.url }),
} satisfies Record<string, () => Synthesizer>;

type VoiceName = keyof typeof voices;

async function speak(first: VoiceName, second: VoiceName, isImpatient = false) {
  await using harness = await startHarness({
    languageModels: [createScriptedLanguageModel([reply])],
    synthesizers: [voices[first](), voices[second]()],
    isImpatient,
  });
  const heard = await harness.turn();
  return { heard, log: harness.log, tier: harness.tier };
}

describe.each([
  ["azure", "edge"],
  ["edge", "azure"],
] as const)("a turn whose first voice is %s and whose second is %s", (first, second) => {
  const emulators = () => ({ azure, edge });

  describe.each(points)("when the first fails %s", (_, afterParts) => {
    it.each(failing)("is heard whole, each word once, after the fault %s", async (kind) => {
      emulators()[second].play({});
      // Without a pace: the fault comes right behind the sound, which must be heard all the same.
      emulators()[first].play({ fault: { kind, afterParts } });
      const asked = emulators()[second].requests.length;
      const { heard, tier } = await speak(first, second, kind === "hang");
      expectWhole(heard, reply);
      expectWordsOnce(heard, reply);
      expectTonesOnce(heard, reply);
      // The first was heard: the second is not asked for the beginning.
      if (afterParts > 0) {
        const rest = emulators()
          [second].requests.slice(asked)
          .map(({ ssml }) => ssml);
        expect(rest.join()).not.toMatch(/One|Six/);
      }
      // A proper end behind the last word is none of the faults.
      const isFault = kind !== "empty" || afterParts < wordsASentence;
      expect((tier(first)?.failed ?? 0) > 0).toBe(isFault);
    });
  });

  it.each(
    (["late", "shuffled"] as const).flatMap((timings) =>
      [1, 2, 3, wordsASentence].map((afterParts) => [timings, afterParts] as const),
    ),
  )(
    "is heard whole, each word once, when timings are %s and it fails after %d words",
    async (timings, afterParts) => {
      emulators()[second].play({});
      emulators()[first].play({ timings, fault: { kind: "html-500", afterParts } });
      const { heard } = await speak(first, second);
      expectWhole(heard, reply);
      expectWordsOnce(heard, reply);
      expectTonesOnce(heard, reply);
    },
  );

  it.each([1, 2, 3])(
    "loses or doubles one word at most when no timing is told and it fails after %d words",
    async (afterParts) => {
      emulators()[second].play({});
      emulators()[first].play({ timings: "absent", fault: { kind: "html-500", afterParts } });
      const { heard } = await speak(first, second);
      expectWhole(heard, reply);
      const handOvers = 2;
      const words = 2 * wordsASentence;
      expect(Math.abs(onsetsOf(heard).length - words)).toBeLessThanOrEqual(handOvers);
    },
  );

  it("is heard whole when no timing is told and nothing fails", async () => {
    emulators()[first].play({ timings: "absent" });
    const { heard, tier } = await speak(first, second);
    expectWhole(heard, reply);
    expectWordsOnce(heard, reply);
    expect(tier(second)?.succeeded).toBe(0);
  });

  it("is heard whole from the second voice when the first is silent, which is no fault of the tier", async () => {
    emulators()[second].play({});
    emulators()[first].play({ silent: true });
    const { heard, tier } = await speak(first, second);
    expectWhole(heard, reply);
    expectWordsOnce(heard, reply);
    expectTonesOnce(heard, reply);
    expect(tier(first)?.breaker).toBe("CLOSED");
  });

  // Raw sound does not say its rate, so nobody can tell that azure's is wrong: see below.
  it.each(first === "azure" ? (["drip"] as const) : (["drip", "wrong-rate"] as const))(
    "is heard whole, each word once, for all the fault %s",
    async (kind) => {
      emulators()[second].play({});
      emulators()[first].play({ fault: { kind } });
      const { heard, tier } = await speak(first, second);
      expectWhole(heard, reply);
      expectWordsOnce(heard, reply);
      expectTonesOnce(heard, reply);
      expect(tier(second)?.succeeded).toBe(0);
    },
  );
});

describe("a turn whose first voice is azure, at another rate than it was asked for", () => {
  it("is whole in text and captions, and ends well", async () => {
    edge.play({});
    azure.play({ fault: { kind: "wrong-rate" } });
    const { heard } = await speak("azure", "edge");
    expectWhole(heard, reply);
    expectWordsOnce(heard, reply);
  });
});
