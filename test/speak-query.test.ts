import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { samplesOf } from "../server/core/audio/pcm.ts";
import { createWavReader } from "../server/core/audio/wav.ts";
import { ProviderError } from "../server/core/errors.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { createScriptedLanguageModel, type ReplyStep } from "./support/scripted-language-model.ts";
import { createSpellingVoice, readSpelling } from "./support/spelling-voice.ts";

const never = new Promise<never>(() => undefined);
let reply: readonly ReplyStep[] = [];
let gate: Promise<unknown> | undefined;
let gateway: Gateway;

beforeEach(async () => {
  reply = ["Hello there. ", "Bye."];
  gate = undefined;
  gateway = await startGateway({
    languageModels: [createScriptedLanguageModel(() => reply)],
    synthesizers: [createSpellingVoice({ gate: gateOf })],
    env: { CORS_ORIGINS: "https://app.example" },
  });
});
afterEach(async () => {
  await gateway.stop();
});

/** The voice waits before one sentence, and fails for another. */
function gateOf(text: string): Promise<unknown> | undefined {
  if (text === "Fail.") return Promise.reject(new ProviderError("spelling", "server", "went away"));
  return text === "Bye." ? gate : undefined;
}

type Query = Readonly<Record<string, string>>;
const good: Query = { prompt: "p", hardware_id: "d" };
const ask = (query: Query | string, init: RequestInit = {}) =>
  fetch(`${gateway.httpUrl}/v1/speak?${new URLSearchParams(query)}`, init);
const issue = (body: object) =>
  fetch(`${gateway.httpUrl}/v1/speak/tickets`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

type Issued = { readonly ticket: string; readonly expires_in: number; readonly url: string };
const issued = async (body: object) => (await (await issue(body)).json()) as Issued;

async function read(response: Response): Promise<string> {
  return readSpelling([createWavReader().push(new Uint8Array(await response.arrayBuffer()))]);
}

function eventNames(text: string): readonly string[] {
  return [...text.matchAll(/^event: (.*)$/gm)].map(([, name = ""]) => name);
}

describe("GET /v1/speak", () => {
  it("answers a query as POST answers its body", async () => {
    const response = await ask(good);
    expect(response.headers.get("content-type")).toBe("audio/wav");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await read(response)).toBe("Hello there. Bye.");
    const bytes = new Uint8Array(await (await ask({ ...good, format: "pcm" })).arrayBuffer());
    expect(readSpelling([samplesOf(bytes)])).toBe("Hello there. Bye.");
  });

  it.each<[string, string, string]>([
    ["no prompt", "hardware_id=d", "prompt"],
    ["no device", "prompt=p", "hardware_id"],
    ["a blank prompt", "prompt=+&hardware_id=d", "prompt"],
    ["an unknown format", "prompt=p&hardware_id=d&format=ogg", "format"],
    ["an unknown field", "prompt=p&hardware_id=d&promt=x", "promt"],
    ["a field twice", "prompt=p&hardware_id=d&prompt=q", "prompt"],
    ["a ticket beside fields", "ticket=x&prompt=p", "ticket"],
  ])("refuses %s with 400 and names the field", async (_, query, field) => {
    for (const method of ["GET", "HEAD"]) {
      const response = await ask(query, { method });
      expect(response.status).toBe(400);
      if (method === "HEAD") continue;
      expect(await response.json()).toMatchObject({ error: { code: "invalid_argument", field } });
    }
    expect(gateway.status().turns).toEqual({});
  });

  it("refuses a page of another origin, and runs nothing", async () => {
    for (const headers of [
      { origin: "https://evil.example" },
      { origin: "null" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site", referer: "https://app.example/" },
      {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
      },
    ]) {
      for (const method of ["GET", "HEAD"]) {
        const response = await ask(good, { method, headers });
        expect(response.status).toBe(403);
        if (method === "HEAD") continue;
        expect(await response.json()).toMatchObject({ error: { code: "permission_denied" } });
      }
    }
    expect(gateway.status().turns).toEqual({});
  });

  it("lets its own page, permitted ones and typed addresses ask", async () => {
    for (const headers of [
      { "sec-fetch-site": "same-origin" },
      { "sec-fetch-site": "none" },
      { "sec-fetch-site": "cross-site", origin: "https://app.example" },
    ]) {
      const response = await ask(good, { headers });
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
  });

  it("answers 200 with the whole to a request for a range", async () => {
    const response = await ask(good, { headers: { range: "bytes=0-" } });
    expect(response.status).toBe(200);
    expect(response.headers.get("accept-ranges")).toBe("none");
    expect(await read(response)).toBe("Hello there. Bye.");
  });

  it("runs no turn again for an EventSource that connects again", async () => {
    const events = await (await ask({ ...good, format: "sse" })).text();
    const ids = [...events.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    expect(ids).toEqual(eventNames(events).map((_, at) => at + 1));
    const again = await ask({ ...good, format: "sse" }, { headers: { "last-event-id": "3" } });
    expect(again.status).toBe(204);
    expect(gateway.status().turns).toEqual({ done: 1 });
  });

  it("names no event as EventSource names its own", async () => {
    reply = ["One. ", "Fail."];
    const failed = eventNames(await (await ask({ ...good, format: "sse" })).text());
    expect(failed.at(-1)).toBe("failure");
    reply = ["One."];
    const done = eventNames(await (await ask({ ...good, format: "sse" })).text());
    expect(done.at(-1)).toBe("end");
    const own = ["error", "open", "message"];
    expect([...failed, ...done].filter((name) => own.includes(name))).toEqual([]);
  });
});

describe("HEAD /v1/speak", () => {
  it("answers the headers, and runs nothing", async () => {
    for (const [format, type] of [
      ["wav", "audio/wav"],
      ["pcm", "application/octet-stream"],
      ["sse", "text/event-stream; charset=utf-8"],
    ] as const) {
      const response = await ask({ ...good, format }, { method: "HEAD" });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe(type);
      expect(await response.text()).toBe("");
    }
    expect(gateway.status().turns).toEqual({});
    expect(gateway.spoken).toEqual([]);
  });

  it("leaves a ticket good", async () => {
    const { ticket } = await issued({ ...good, format: "pcm" });
    const head = await ask({ ticket }, { method: "HEAD" });
    expect(head.headers.get("content-type")).toBe("application/octet-stream");
    const get = await ask({ ticket });
    expect(get.status).toBe(200);
    await get.arrayBuffer();
    expect((await ask({ ticket }, { method: "HEAD" })).status).toBe(404);
  });
});

describe("POST /v1/speak/tickets", () => {
  it("gives an address that plays the request once, for a permitted page", async () => {
    const answer = await issue({ ...good, format: "wav" });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const { ticket, expires_in, url } = (await answer.json()) as Issued;
    expect({ expires_in, url }).toEqual({ expires_in: 60, url: `/v1/speak?ticket=${ticket}` });
    expect(gateway.status().turns).toEqual({});
    const headers = { "sec-fetch-site": "cross-site", origin: "https://app.example" };
    const played = await fetch(gateway.httpUrl + url, { headers });
    expect(await read(played)).toBe("Hello there. Bye.");
    const again = await fetch(gateway.httpUrl + url);
    expect(again.status).toBe(404);
    const text = await again.text();
    expect(JSON.parse(text)).toMatchObject({ error: { code: "not_found" } });
    expect(text).not.toContain(ticket);
  });

  it("refuses bad fields when the ticket is asked for", async () => {
    const response = await issue({ prompt: "p" });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { field: "hardware_id" } });
  });

  it("takes a prompt that no address could hold", async () => {
    const { url } = await issued({ ...good, prompt: "long ".repeat(12_000) });
    expect((await ask({ ...good, prompt: "long ".repeat(12_000) })).status).toBe(431);
    const played = await fetch(gateway.httpUrl + url);
    expect(await read(played)).toBe("Hello there. Bye.");
  });

  it("is refused to what a page may send without asking", async () => {
    const response = await fetch(`${gateway.httpUrl}/v1/speak/tickets`, {
      method: "POST",
      body: JSON.stringify(good),
    });
    expect(response.status).toBe(415);
  });
});

describe("the length of a file", () => {
  it("is told where the reply is ready with its first sound", async () => {
    for (const [format, headerBytes] of [
      ["wav", 44],
      ["pcm", 0],
    ] as const) {
      const response = await ask({ ...good, format });
      const file = Buffer.from(await response.arrayBuffer());
      const dataBytes = "Hello there. Bye.".length * 960;
      expect(response.headers.get("content-length")).toBe(`${dataBytes + headerBytes}`);
      expect(file).toHaveLength(dataBytes + headerBytes);
      if (format === "pcm") continue;
      expect(file.readUInt32LE(4)).toBe(dataBytes + 36);
      expect(file.readUInt32LE(40)).toBe(dataBytes);
    }
  });

  it("is left open where sound is still made, which is not waited for", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const response = await ask(good);
    expect(response.headers.has("content-length")).toBe(false);
    const reader = response.body?.getReader();
    const pieces = [(await reader?.read())?.value ?? new Uint8Array(0)];
    while (pieces.reduce((sum, { length }) => sum + length, 0) < 44 + 960) {
      pieces.push((await reader?.read())?.value ?? new Uint8Array(0));
    }
    resolve();
    for (;;) {
      const step = await reader?.read();
      if (!step || step.done) break;
      pieces.push(step.value);
    }
    const file = Buffer.concat(pieces);
    expect(file.readUInt32LE(40)).toBe(0x7ffff000);
    expect((file.length - 44) % 8192).toBe(0);
    const samples = samplesOf(new Uint8Array(file.subarray(44)));
    const spoken = "Hello there. Bye.".length * 480;
    expect(readSpelling([samples.subarray(0, spoken)])).toBe("Hello there. Bye.");
    expect(samples.subarray(spoken).every((sample) => sample === 0)).toBe(true);
  });

  it("is not told of what is too long to be gathered", async () => {
    reply = [`${"A long sentence goes on. ".repeat(30)}`];
    const response = await ask(good);
    expect(response.headers.has("content-length")).toBe(false);
    await response.arrayBuffer();
  });

  it("is not told of a reply that breaks off", async () => {
    reply = ["One. ", "Fail."];
    await expect(ask(good).then((wav) => wav.arrayBuffer())).rejects.toThrow();
    reply = ["One. T", never];
    const aborter = new AbortController();
    const response = await ask(good, { signal: aborter.signal });
    expect(response.headers.has("content-length")).toBe(false);
    aborter.abort();
    await gateway.untilIdle();
  });
});
