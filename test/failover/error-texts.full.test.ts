import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { failingKinds } from "../contracts/suite-faults.ts";
import { bothHttp, type WireRequest } from "../support/both-http.ts";
import { startGateway } from "../support/gateway.ts";
import { PAUSED } from "../support/replies.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { closeAll } from "../support/sockets.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";
import { startHarness } from "./harness.ts";
import { openProviders, type Services, startServices } from "./services.ts";

// A client that exists opens its purchase page where an error's text has one of these words.
const purchaseWords = /limit|quota|subscri/i;

let services: Services;
let open: ReturnType<typeof openProviders>;
beforeAll(async () => {
  services = await startServices();
  open = openProviders(services, "k");
});
afterEach(closeAll);
afterAll(() => services.stop());

describe.each(failingKinds)("the text of an error when every provider has the fault %s", (kind) => {
  const names = ["live", "gemini", "openai", "azure", "edge"] as const;

  it.each([0, 1])("offers no purchase (%i parts before)", async (afterParts) => {
    const script = { deltas: ["One two. Th", "ree."], fault: { kind, afterParts } };
    for (const name of names) services[name].play(script);
    const models = [open.live(), open.gemini(), open.langchain()].map((languageModel) => ({
      languageModels: [languageModel],
      synthesizers: [createSpellingVoice()],
    }));
    const voices = [open.azure(), open.edge()].map((synthesizer) => ({
      languageModels: [createScriptedLanguageModel(["One two three four."])],
      synthesizers: [synthesizer],
    }));
    // A reply that broke off has no error: it ends with what there was of it.
    for (const tiers of afterParts > 0 ? voices : [...models, ...voices]) {
      await using harness = await startHarness(tiers);
      const { status, errorMessage } = await harness.turn();
      expect(status?.rawMessage).toMatch(/^no (text|speech) provider could answer \(/);
      expect(`${status?.rawMessage} ${errorMessage}`).not.toMatch(purchaseWords);
    }
  });
});

describe.each(bothHttp)("the text of the gateway's own refusal over $version", ({ ask }) => {
  const service = "/streaming.StreamingService";
  const json = (path: string, fields: object): WireRequest => ({
    path,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(fields),
  });
  const speak = (fields: object) =>
    json("/v1/speak", { prompt: "Hi.", hardware_id: randomUUID(), format: "pcm", ...fields });
  const interrupt = `${service}/InterruptSession`;
  const requests: readonly (readonly [string, WireRequest])[] = [
    ["a prompt of 64 KiB and more", speak({ prompt: "x".repeat(65_537) })],
    ["a blank prompt", speak({ prompt: " " })],
    ["a long hardware_id", speak({ hardware_id: "x".repeat(129) })],
    ["the hardware_id unknown", speak({ hardware_id: "unknown" })],
    ["a bad session_id", speak({ session_id: "a b" })],
    ["a long voice", speak({ voice: "x".repeat(129) })],
    ["an unknown field", speak({ promt: "x" })],
    ["a body that is too large", speak({ prompt: "x".repeat(500_000) })],
    ["an empty hardware_id", json(interrupt, { hardware_id: "" })],
    ["JSON of another shape", json(interrupt, { hardware_id: [] })],
    ["a large header", { ...json(interrupt, {}), headers: { filler: "x".repeat(20_000) } }],
    ["a wrong method", { method: "GET", path: interrupt }],
    ["a wrong media type", { path: interrupt, headers: { "content-type": "text/html" } }],
    ["an unknown method", json(`${service}/Nope`, {})],
    ["an unknown path", { method: "GET", path: "/nothing/here" }],
  ];

  it("offers no purchase, whatever the request breaks", async () => {
    await using gateway = await startGateway();
    for (const [what, request] of requests) {
      const { status, body } = await ask(gateway.httpPort, request);
      expect([what, status >= 400]).toEqual([what, true]);
      expect(body.toString()).not.toMatch(purchaseWords);
    }
  });

  it("tells who finds the gateway full that it is busy, and when to try again", async () => {
    const gateway = await startGateway({ env: { MAX_SESSIONS: "1" } });
    const first = ask(gateway.httpPort, speak({ prompt: PAUSED.prompt })).catch(() => undefined);
    await vi.waitFor(() => expect(gateway.status().activeSessions).toBe(1), 5000);
    const refused = await ask(gateway.httpPort, speak({}));
    // The name of the limit is for programs: it is no part of the text that clients search and show.
    expect([refused.status, JSON.parse(refused.body.toString()).error]).toEqual([
      429,
      { code: "resource_exhausted", message: "gateway busy; retry in 2 s", limit: "streams" },
    ]);
    await gateway.stop();
    await closeAll();
    await first;
  });

  it("names the caller's own streams, without a word of purchase", async () => {
    const gateway = await startGateway({ env: { MAX_CONCURRENT_REQUESTS: "1" } });
    const own = speak({ prompt: PAUSED.prompt, hardware_id: "own" });
    const first = ask(gateway.httpPort, own).catch(() => undefined);
    await vi.waitFor(() => expect(gateway.status().activeSessions).toBe(1), 5000);
    const refused = await ask(gateway.httpPort, speak({ hardware_id: "own" }));
    const { message } = JSON.parse(refused.body.toString()).error;
    expect(message).toBe("this hardware_id runs 1 streams already, the most it may");
    expect(message).not.toMatch(purchaseWords);
    await gateway.stop();
    await closeAll();
    await first;
  });
});
