import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { samplesOf } from "../server/core/audio/pcm.ts";
import { ProviderError } from "../server/core/errors.ts";
import { bothHttp } from "./support/both-http.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { createScriptedLanguageModel, type ReplyStep } from "./support/scripted-language-model.ts";
import { closeAll } from "./support/sockets.ts";
import { createSpellingVoice, readSpelling, SAMPLES_A_LETTER } from "./support/spelling-voice.ts";

const never = new Promise<never>(() => undefined);
let reply: readonly ReplyStep[] = [];
let gateway: Gateway;

/** The voice fails for this sentence. */
const gateOf = (text: string) =>
  text === "Fail."
    ? Promise.reject(new ProviderError("spelling", "server", "went away"))
    : undefined;

beforeEach(async () => {
  reply = ["Hello there. ", "Bye."];
  const languageModel = createScriptedLanguageModel(() => reply);
  gateway = await startGateway({
    languageModels: [languageModel],
    synthesizers: [createSpellingVoice({ gate: gateOf })],
  });
});
afterEach(async () => {
  await closeAll();
  await gateway.stop();
});

const speak = (body: unknown, init: RequestInit = {}) =>
  fetch(`${gateway.httpUrl}/v1/speak`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });
const good = { prompt: "p", hardware_id: "d" };

describe("POST /v1/speak", () => {
  it("streams a WAV file by default", async () => {
    const response = await speak(good);
    const file = new Uint8Array(await response.arrayBuffer());
    expect(response.headers.get("content-type")).toBe("audio/wav");
    expect(Buffer.from(file.subarray(0, 4)).toString()).toBe("RIFF");
    expect(readSpelling([samplesOf(file.slice(44))])).toBe("Hello there. Bye.");
  });

  it("streams raw samples", async () => {
    const bytes = new Uint8Array(await (await speak({ ...good, format: "pcm" })).arrayBuffer());
    expect(readSpelling([samplesOf(bytes)])).toBe("Hello there. Bye.");
  });

  it("streams events with text and sound, in order", async () => {
    const response = await speak({ ...good, format: "sse" });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const events = (await response.text()).trim().split("\n\n").map(parseEvent);
    expect(events.map(({ name }) => name)).toEqual([
      "text",
      "audio",
      "audio",
      "text",
      "audio",
      "end",
    ]);
    const source = { kind: "TEXT", tier: "scripted" };
    const ids = { turn_id: uuid, session_id: uuid };
    expect(events[0]?.data).toEqual({ text: "Hello there. ", ...ids, source });
    const sound = events.flatMap(({ data }) =>
      data.audio ? [samplesOf(Uint8Array.from(Buffer.from(data.audio, "base64")))] : [],
    );
    expect(readSpelling(sound)).toBe("Hello there. Bye.");
    const words: { word: string; start_sample: number; end_sample: number }[] = events.flatMap(
      ({ data }) => data.words ?? [],
    );
    expect(words.map(({ word }) => word)).toEqual(["Hello", "there", "Bye"]);
    expect(words.at(-1)?.start_sample).toBeGreaterThanOrEqual(
      "Hello there. ".length * SAMPLES_A_LETTER,
    );
  });

  it("tells the turn's ids with the first event alone, and takes the client's own", async () => {
    const ids = { turn_id: "3F2504E0-4F89-41D3-9A0C-0305E82C3301", session_id: "mine" };
    const response = await speak({ ...good, ...ids, language: "en-US", format: "sse" });
    const [first, ...rest] = (await response.text()).trim().split("\n\n").map(parseEvent);
    expect(first?.data).toMatchObject({ text: "Hello there. ", ...ids });
    expect(rest.filter(({ data }) => data.turn_id || data.session_id)).toEqual([]);
    const bad = await speak({ ...good, turn_id: "mine" });
    expect(bad.status).toBe(400);
    expect(await bad.json()).toMatchObject({ error: { message: "turn_id must be a UUID" } });
  });

  it("answers a failure before the first chunk with a status and JSON", async () => {
    reply = [new ProviderError("scripted", "server", "is down")];
    const response = await speak(good);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: "unavailable" } });
  });

  it("breaks a WAV off, and ends events with a failure, on a failure after the first chunk", async () => {
    reply = ["One. ", "Fail."];
    await expect(speak(good).then((wav) => wav.arrayBuffer())).rejects.toThrow();
    const events = (await (await speak({ ...good, format: "sse" })).text()).trim().split("\n\n");
    expect(parseEvent(events.at(-1) ?? "")).toEqual({
      name: "failure",
      data: {
        code: "unavailable",
        message: "no speech provider could answer (spelling: went away)",
      },
    });
  });

  it("cancels the turn when the client leaves", async () => {
    reply = ["One. T", never];
    const aborter = new AbortController();
    const response = await speak(good, { signal: aborter.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    expect(gateway.status().activeSessions).toBe(1);
    aborter.abort();
    await vi.waitFor(() => expect(gateway.status().activeSessions).toBe(0), { timeout: 5000 });
  });

  it.each<[string, unknown, string]>([
    ["no JSON", "prompt=hi", "body"],
    ["a missing field", { prompt: "hi" }, "hardware_id"],
    ["a wrong kind", { ...good, prompt: 7 }, "prompt"],
    ["an unknown format", { ...good, format: "ogg" }, "format"],
    ["an unknown field", { ...good, promt: "x" }, "promt"],
    ["a blank prompt", { ...good, prompt: " " }, "prompt"],
    ["a bad session", { ...good, session_id: "a b" }, "session_id"],
  ])("refuses %s with 400 and names the field", async (_, body, field) => {
    const response = await speak(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: "invalid_argument", field } });
  });

  it("refuses a body that is too large or not JSON by its type", async () => {
    const large = await speak({ ...good, prompt: "x".repeat(500_000) });
    expect(large.status).toBe(413);
    const form = await speak(good, { headers: { "content-type": "text/plain" } });
    expect(form.status).toBe(415);
  });
});

describe.each(bothHttp)("a body without its length over $version", ({ ask }) => {
  const post = (path: string, fields: object) =>
    ask(gateway.httpPort, {
      path,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(fields),
      withoutLength: true,
    });

  it("is spoken", async () => {
    const answer = await post("/v1/speak", { ...good, format: "pcm" });
    expect(answer.status).toBe(200);
    expect(readSpelling([samplesOf(Uint8Array.from(answer.body))])).toBe("Hello there. Bye.");
  });

  it("gets a ticket", async () => {
    expect((await post("/v1/speak/tickets", good)).status).toBe(201);
  });

  it("is refused with 413 above the limit", async () => {
    const answer = await post("/v1/speak", { ...good, prompt: "x".repeat(500_000) });
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.body.toString()).error.code).toBe("resource_exhausted");
  });
});

/** An id that the gateway made up. */
const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

function parseEvent(text: string) {
  const [name, data] = text.split("\n");
  return {
    name: name?.replace("event: ", ""),
    data: JSON.parse(data?.replace("data: ", "") ?? "null"),
  };
}

describe("HTTP routes", () => {
  const get = (path: string, init?: RequestInit) => fetch(gateway.httpUrl + path, init);

  it("answers /health", async () => {
    expect(await (await get("/health")).json()).toEqual({
      status: "ok",
      version: expect.any(String),
    });
  });

  it("answers /status with what runs and how it goes", async () => {
    await (await speak(good)).arrayBuffer();
    expect(await (await get("/status")).json()).toMatchObject({
      name: "parley",
      activeSessions: 0,
      turns: { done: 1 },
      providers: [
        { name: "scripted", kind: "text", succeeded: 1, failed: 0, successRate: 1 },
        { name: "spelling", kind: "speech", succeeded: 2, failed: 0, successRate: 1 },
      ],
      endpoints: expect.arrayContaining(["POST /v1/speak"]),
    });
  });

  it("answers an unknown path with 404 and a wrong method with 405, both as JSON", async () => {
    const unknown = await get("/nothing/here");
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toEqual({
      error: { code: "not_found", message: "there is nothing at /nothing/here" },
    });
    const wrong = await get("/v1/speak", { method: "PUT" });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("GET, HEAD, POST");
    expect(await wrong.json()).toMatchObject({ error: { code: "unimplemented" } });
  });

  it("gives the protocol's own answer to a wrong method or content type of an RPC", async () => {
    const path = "/streaming.StreamingService/InterruptSession";
    expect((await get(path)).status).toBe(405);
    const headers = { "content-type": "text/html" };
    expect((await get(path, { method: "POST", headers, body: "x" })).status).toBe(415);
  });

  it("answers / with the status for whom JSON suits better than a page", async () => {
    const json = await get("/", { headers: { accept: "application/json" } });
    const status = (await (await get("/status")).json()) as object;
    expect(await json.json()).toEqual({ ...status, uptimeSeconds: expect.any(Number) });
    expect(json.headers.get("vary")).toBe("accept, origin");
    const inBrowsers = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (const accept of [inBrowsers, "*/*", "application/json;q=0.5,text/html"]) {
      const page = await get("/", { headers: { accept } });
      expect(page.headers.get("content-type")).toContain("text/html");
      expect(page.headers.get("vary")).toBe("accept, accept-encoding, origin");
    }
  });

  it("serves the page with a content security policy", async () => {
    const page = await get("/");
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    const script = /src="([^"]+\.js)"/.exec(await page.text())?.[1] ?? "none";
    expect((await get(script.replace(/^\.?\/?/, "/"))).headers.get("cache-control")).toContain(
      "immutable",
    );
  });

  it("reaches no file beyond the page", async () => {
    for (const path of [
      "/../package.json",
      "/%2e%2e/package.json",
      "/assets/..%2f..%2fpackage.json",
    ]) {
      expect((await get(path)).status).toBe(404);
    }
  });
});

describe("CORS", () => {
  const path = "/streaming.StreamingService/InterruptSession";
  const preflight = (origin: string) =>
    fetch(gateway.httpUrl + path, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });

  it("lets pages of this machine call, and others not", async () => {
    const own = await preflight("http://localhost:5173");
    expect(own.status).toBe(204);
    expect(own.headers.get("access-control-allow-origin")).toBe("http://localhost:5173");
    expect(own.headers.get("access-control-allow-headers")).toContain("X-Grpc-Web");
    const other = await preflight("https://localhost.evil.example");
    expect(other.headers.has("access-control-allow-origin")).toBe(false);
  });

  it("shows a page the reason of a cancel", async () => {
    const response = await fetch(gateway.httpUrl + path, {
      method: "POST",
      headers: { origin: "http://127.0.0.1:1", "content-type": "application/json" },
      body: JSON.stringify({ hardwareId: "d" }),
    });
    expect(response.headers.get("access-control-expose-headers")).toContain("parley-reason");
  });
});

describe("Health", () => {
  const url = () =>
    `${gateway.httpUrl}/grpc.health.v1.Health/Check?encoding=json&connect=v1&message=`;

  it("answers Connect's GET", async () => {
    const known = await fetch(
      url() + encodeURIComponent('{"service":"streaming.StreamingService"}'),
    );
    expect(await known.json()).toEqual({ status: "SERVING" });
    const unknown = await fetch(url() + encodeURIComponent('{"service":"x"}'));
    expect(unknown.status).toBe(404);
  });
});
