import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { ProviderError } from "../server/core/errors.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { replyTo } from "./support/replies.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";

let gateway: Gateway;
const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const get = (accept?: string) =>
  fetch(`${gateway.httpUrl}/status`, { headers: accept ? { accept } : {} });
const modules = () => new Map(gateway.status().modules.map((module) => [module.name, module]));

beforeAll(async () => {
  const down = new ProviderError("<b>down</b>", "rate_limit", "too many requests");
  gateway = await startGateway({
    languageModels: [
      createScriptedLanguageModel([down], "<b>down</b>"),
      createScriptedLanguageModel(({ text }) => replyTo(text)),
    ],
  });
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));
  await Array.fromAsync(client.streamAudio({ prompt: "Hello.", hardwareId: "d" }));
});
afterAll(() => gateway.stop());

describe("GET /status", () => {
  it("answers curl with JSON and a browser with a page", async () => {
    for (const accept of [undefined, "*/*", "application/json"]) {
      const response = await get(accept);
      expect(response.headers.get("content-type")).toMatch(/^application\/json/);
      expect(await response.json()).toMatchObject({ name: "parley" });
    }
    const response = await get(browser);
    expect(response.headers.get("content-type")).toMatch(/^text\/html/);
    expect(response.headers.get("vary")).toContain("accept");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.text()).toContain("<h1>Parley 0.1.0</h1>");
  });

  it("allows its page nothing but its own style", async () => {
    const response = await get(browser);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'/);
    expect(policy).not.toContain("unsafe");
    expect(await response.text()).not.toMatch(/<script| style=| on\w+=/);
  });

  it("shows text as text", async () => {
    const page = await (await get(browser)).text();
    expect(page).toContain("&lt;b&gt;down&lt;/b&gt;");
    expect(page).not.toContain("<b>down");
  });

  it("has every module, and whether it is enabled", () => {
    const enabled = [...modules()].map(([name, module]) => [name, module.enabled]);
    expect(Object.fromEntries(enabled)).toEqual({
      sessions: true,
      "text/<b>down</b>": true,
      "text/scripted": true,
      "speech/spelling": true,
      storage: false,
      memory: false,
      screenshots: false,
      agent: false,
      updates: true,
      cluster: false,
      analysis: false,
    });
  });

  it("has each module's state, success rate and last error by its kind", () => {
    expect(modules().get("text/<b>down</b>")).toMatchObject({
      state: "skipped",
      successRate: 0,
      lastError: "<b>down</b>: too many requests",
      lastErrorKind: "rate_limit",
    });
    expect(modules().get("text/scripted")).toMatchObject({ state: "ok", successRate: 1 });
    expect(modules().get("sessions")).toMatchObject({ state: "ok", successRate: 1 });
    expect(modules().get("storage")).toMatchObject({ state: "off" });
  });

  it("tells since when, which a look at it does not change", async () => {
    const first = modules().get("text/<b>down</b>")?.since ?? "";
    expect(Math.abs(Date.now() - Date.parse(first))).toBeLessThan(60_000);
    expect(modules().get("text/<b>down</b>")?.since).toBe(first);
    const before = modules().get("speech/spelling")?.since ?? "";
    expect(Date.parse(before)).toBeLessThanOrEqual(Date.parse(first));
  });
});
