import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EmulatorScript } from "../../emulators/script.ts";
import type { LanguageModel } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";
import { type Harness, startHarness } from "./harness.ts";
import { openProviders, type Services, startServices } from "./services.ts";
import type { Transcript } from "./transcript.ts";

/** How soon "promptly" is on a machine that has other work as well. */
const promptlyMs = 2_000;

let services: Services;
let open: ReturnType<typeof openProviders>;
beforeAll(async () => {
  services = await startServices();
  open = openProviders(services, "k");
});
afterAll(() => services.stop());

/** A tier under way: what drives it, and whether the provider's server still works for it. */
type Case = {
  readonly name: string;
  readonly emulator: () => { play(script: EmulatorScript): void; active(): number };
  readonly tiers: () => { languageModels: LanguageModel[]; synthesizers: Synthesizer[] };
};

const writing = () => [createScriptedLanguageModel(["One two three four. Five six."])];
const cases: readonly Case[] = [
  ...(["gemini", "live", "langchain"] as const).map((model) => ({
    name: model === "live" ? "gemini-live" : model,
    emulator: () => services[model === "langchain" ? "openai" : model],
    tiers: () => ({ languageModels: [open[model]()], synthesizers: [createSpellingVoice()] }),
  })),
  ...(["azure", "edge"] as const).map((voice) => ({
    name: voice,
    emulator: () => services[voice],
    tiers: () => ({ languageModels: writing(), synthesizers: [open[voice]()] }),
  })),
];

const deltas = ["One two. ", "Three four. ", "Five six. ", "Seven. "];
const points = [
  { point: "before its first part", afterParts: 0, isThere: () => true },
  { point: "after its first parts", afterParts: 2, isThere: () => true },
  {
    point: "after audio was heard",
    afterParts: 3,
    isThere: ({ pcm }: Transcript) => pcm.length > 0,
  },
] as const;
const ways = ["the client leaves", "the device is interrupted"] as const;

describe.each(cases)("a turn that $name works for", ({ name, emulator, tiers }) => {
  describe.each(points)("cancelled $point", ({ afterParts, isThere }) => {
    it.each(ways)("is let go of promptly when %s", async (way) => {
      emulator().play({ deltas, fault: { kind: "hang", afterParts } });
      // No tier is given up for its silence here: what ends it is the cancel.
      const env = { TEXT_TIMEOUT: "60", SPEECH_TIMEOUT: "60" };
      await using harness = await startHarness({ ...tiers(), env });
      const client = new AbortController();
      let last: Transcript | undefined;
      const turn = harness.turn({ signal: client.signal, onStep: (soFar) => (last = soFar) });
      await expect.poll(emulator().active, { interval: 2 }).toBeGreaterThan(0);
      if (afterParts > 0)
        await expect.poll(() => last && isThere(last), { interval: 2 }).toBe(true);

      const begunMs = performance.now();
      await cancel(harness, client, way);
      await expect.poll(emulator().active, { interval: 2, timeout: promptlyMs }).toBe(0);
      const heard = await turn;
      expect(performance.now() - begunMs).toBeLessThan(promptlyMs);
      expect(heard.status?.code).toBe(Code.Canceled);
      expect([heard.end, heard.errorMessage]).toEqual([undefined, undefined]);
      // A cancel is no fault of the tier's.
      expect(harness.tier(name)).toMatchObject({ failed: 0, breaker: "CLOSED" });
      const warnings = harness.log.filter(({ level }) => level === "warn");
      expect(warnings.filter(({ message }) => message !== "interrupt")).toEqual([]);
    });
  });
});

async function cancel(harness: Harness, client: AbortController, way: (typeof ways)[number]) {
  if (way === "the client leaves") client.abort();
  else expect(await harness.interrupt()).toBe(1);
}
