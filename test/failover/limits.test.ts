import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { readDocument } from "../../emulators/microsoft-speech-messages.ts";
import type { EmulatorScript } from "../../emulators/script.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";
import { expectTonesOnce, expectWhole, onsetsOf } from "./count-words.ts";
import { silenceMs, startHarness } from "./harness.ts";
import { openProviders, type Services, startServices } from "./services.ts";

let services: Services;
let open: ReturnType<typeof openProviders>;
beforeAll(async () => {
  services = await startServices();
  open = openProviders(services, "k");
});
afterAll(() => services.stop());
afterEach(() => vi.restoreAllMocks());

describe("a reply that never ends", () => {
  it("stops at MAX_PROCESSING_TIME with DEADLINE_EXCEEDED, after what was spoken", async () => {
    const deltas = Array.from({ length: 3000 }, (_, at) => `Number ${at}. `);
    services.gemini.play({ deltas, partMs: 25 });
    services.azure.play({});
    await using harness = await startHarness({
      languageModels: [open.gemini()],
      synthesizers: [open.azure()],
      env: { MAX_PROCESSING_TIME: "1.2", TEXT_TIMEOUT: "3", SPEECH_TIMEOUT: "3" },
    });
    const heard = await harness.turn();
    expect(heard.status?.code).toBe(Code.DeadlineExceeded);
    expect(heard.status?.metadata.get("parley-reason")).toBe("deadline");
    expect([heard.end, heard.errorMessage]).toEqual([undefined, heard.status?.rawMessage]);
    expect(heard.text).toMatch(/^Number 0\. Number 1\. /);
    expect(onsetsOf(heard).length).toBeGreaterThan(1);
    expect(deltas.join("").startsWith(heard.text)).toBe(true);
    for (const { active } of [services.gemini, services.azure])
      await expect.poll(active, { interval: 5 }).toBe(0);
  });
});

describe("a tier that hangs", () => {
  const script: EmulatorScript = { fault: { kind: "hang" } };

  it("is given up after its time, whatever its kind, and the next one is heard", async () => {
    services.gemini.play(script);
    services.azure.play(script);
    services.edge.play({});
    await using harness = await startHarness({
      languageModels: [open.gemini(), createScriptedLanguageModel(["One two."])],
      synthesizers: [open.azure(), open.edge()],
      isImpatient: true,
    });
    const begunMs = performance.now();
    const heard = await harness.turn();
    expectWhole(heard, "One two.");
    expectTonesOnce(heard, "One two.");
    // Two tiers after each other, and none before its time.
    expect(performance.now() - begunMs).toBeGreaterThanOrEqual(2 * silenceMs * 0.95);
    expect(harness.tier("gemini")?.lastError).toContain(`no part for ${silenceMs} ms`);
    expect(harness.tier("azure")?.lastError).toContain(`no part for ${silenceMs} ms`);
    for (const { active } of [services.gemini, services.azure])
      await expect.poll(active, { interval: 5 }).toBe(0);
  });
});

describe("a tier that asks to be left alone", () => {
  const tiers = [
    { name: "gemini", kind: "text", emulator: () => services.gemini, tier: () => open.gemini() },
    {
      name: "langchain",
      kind: "text",
      emulator: () => services.openai,
      tier: () => open.langchain(),
    },
    { name: "gemini-live", kind: "text", emulator: () => services.live, tier: () => open.live() },
    { name: "azure", kind: "speech", emulator: () => services.azure, tier: () => open.azure() },
    { name: "edge", kind: "speech", emulator: () => services.edge, tier: () => open.edge() },
  ] as const;

  it.each(tiers)("is left alone for as long: $name", async ({ name, emulator, tier: openTier }) => {
    emulator().play({ fault: { kind: "rate-limit", retryAfterSeconds: 77 } });
    const tier = openTier();
    const languageModels = "generate" in tier ? [tier] : [];
    const synthesizers = "synthesize" in tier ? [tier] : [];
    await using harness = await startHarness({
      languageModels: [...languageModels, createScriptedLanguageModel(["One."])],
      synthesizers: [...synthesizers, createSpellingVoice()],
    });
    expectWhole(await harness.turn(), "One.");
    expect(harness.tier(name)).toMatchObject({ breaker: "OPEN", failed: 1 });

    emulator().play({ deltas: ["Two."] });
    expectWhole(await harness.turn(), "One.");
    expect(harness.tier(name)).toMatchObject({ succeeded: 0, failed: 1 });

    const now = performance.now.bind(performance);
    const later = vi.spyOn(performance, "now").mockImplementation(() => now() + 70_000);
    expect(harness.tier(name)?.breaker).toBe("OPEN");
    later.mockImplementation(() => now() + 77_000);
    expect(harness.tier(name)?.breaker).toBe("HALF_OPEN");
    await harness.turn();
    expect(harness.tier(name)).toMatchObject({ breaker: "CLOSED", succeeded: 1 });
  });
});

describe("a model that writes markup", () => {
  const markup = [
    `Say <break time="9s"/> & <b>bold</b> &lt;now&gt;. `,
    `</voice></speak><audio src="http://x.test/a.wav"/> end. `,
    `<script>alert("one")</script> <!-- two --> <![CDATA[three]]>.`,
  ];

  /** Tags and comments are not said; all else is, as text. */
  const spoken = markup
    .join("")
    .replaceAll(/<\/?[a-z][^<>]*>|<!--[^<>]*-->/g, (tag) => " ".repeat(tag.length));

  it.each(["azure", "edge"] as const)(
    "has it shown, and spoken as text without its tags: %s",
    async (name) => {
      const emulator = services[name];
      emulator.play({});
      services.gemini.play({ deltas: markup });
      await using harness = await startHarness({
        languageModels: [open.gemini()],
        synthesizers: [open[name]()],
      });
      const before = emulator.requests.length;
      const heard = await harness.turn();
      expectWhole(heard, markup.join(""));
      const documents = emulator.requests.slice(before).map(({ ssml }) => ssml);
      expect(documents.map((ssml) => readDocument(ssml).text).join("")).toBe(spoken);
      const own = /<\/?(?:speak|voice|prosody)\b[^<>]*>/g;
      for (const ssml of documents) expect(ssml.replaceAll(own, "")).not.toMatch(/[<>]/);
      expectTonesOnce(heard, heard.words.map(({ word }) => word).join(" "));
    },
  );
});
