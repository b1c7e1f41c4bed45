import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type App, createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import { samplesOf } from "../../server/core/audio/pcm.ts";
import { ProviderError } from "../../server/core/errors.ts";
import { readEvents } from "../../server/doors/wyoming/events.ts";
import { createWyomingServer } from "../../server/doors/wyoming/wyoming.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createSpellingVoice, SAMPLES_A_LETTER } from "../support/spelling-voice.ts";
import { createTimedVoice } from "./spelled.ts";

const never = new Promise<never>(() => undefined);
const silent = { debug() {}, info() {}, warn() {}, error() {} };
let app: App;
let port = 0;
let open: Socket[] = [];

async function start(synthesizers: readonly Synthesizer[], env: Record<string, string> = {}) {
  const config = readConfig({
    ...{ GRPC_PORT: "0", HTTP_PORT: "0", WYOMING_PORT: "0", STORAGE_ENABLED: "false" },
    ...{ SHUTDOWN_GRACE: "0", ...env },
  });
  app = createApp(config, {
    languageModels: [createScriptedLanguageModel(() => [])],
    synthesizers,
    logger: silent,
  });
  const addresses = await app.start();
  port = addresses.wyoming?.port ?? 0;
}

const gateOf = (text: string) => {
  if (text.startsWith("Wait")) return never;
  if (!text.startsWith("Fail")) return undefined;
  return Promise.reject(new ProviderError("spelling", "server", "went away"));
};

beforeEach(() => start([createSpellingVoice({ gate: gateOf })]));
afterEach(async () => {
  for (const socket of open) socket.destroy();
  open = [];
  await app.stop();
});

type Answer = { readonly type: string; readonly data: Readonly<Record<string, unknown>> };

/** A client that sends bytes as Home Assistant does, and reads what comes. */
async function openClient() {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  open.push(socket);
  await once(socket, "connect");
  let bytes = Buffer.alloc(0);
  socket.on("data", (piece) => {
    bytes = Buffer.concat([bytes, piece]);
  });
  /** The events so far, with the sound of each. */
  const events = () => {
    const found: (Answer & { readonly payload: Buffer })[] = [];
    for (let at = 0; ; ) {
      const end = bytes.indexOf("\n", at);
      if (end < 0) return found;
      const header = JSON.parse(bytes.subarray(at, end).toString());
      at = end + 1 + (header.payload_length ?? 0);
      if (at > bytes.length) return found;
      const payload = bytes.subarray(end + 1, at);
      found.push({ type: header.type, data: header.data, payload });
    }
  };
  return {
    socket,
    events,
    until: (type: string) =>
      vi.waitFor(() => expect(events().map((event) => event.type)).toContain(type), 5000),
    send: (text: string) => socket.write(text),
  };
}

/** An event as the protocol's own Python package writes it: the data behind the line. */
function event(type: string, data?: object): string {
  const text = data ? JSON.stringify(data) : "";
  const length = data ? `, "data_length": ${Buffer.byteLength(text)}` : "";
  return `{"type": "${type}", "version": "1.5.4"${length}}\n${text}`;
}

const spell = (payload: Buffer) => {
  const pcm = samplesOf(Uint8Array.from(payload));
  const letters = Math.round(pcm.length / SAMPLES_A_LETTER);
  return Array.from({ length: letters }, (_, index) =>
    String.fromCharCode(pcm[(index + 0.5) * SAMPLES_A_LETTER] ?? 0),
  ).join("");
};
const soundOf = (events: readonly { type: string; payload: Buffer }[]) =>
  Buffer.concat(events.filter(({ type }) => type === "audio-chunk").map(({ payload }) => payload));

describe("Wyoming's door", () => {
  it("describes its voices, and answers a ping", async () => {
    const client = await openClient();
    client.send(`${event("describe")}${event("ping", { text: "42" })}`);
    await client.until("pong");
    const [info, pong] = client.events();
    expect(info).toMatchObject({
      type: "info",
      data: {
        asr: [],
        tts: [
          {
            name: "parley",
            installed: true,
            attribution: { name: "Parley" },
            supports_synthesize_streaming: true,
            voices: [{ name: "parley", installed: true, languages: ["en"] }],
          },
        ],
      },
    });
    expect(pong).toMatchObject({ type: "pong", data: { text: "42" } });
  });

  it("speaks a text, in chunks between audio-start and audio-stop", async () => {
    const client = await openClient();
    client.send(
      event("synthesize", { text: "Hello from Home Assistant.", voice: { language: "en" } }),
    );
    await client.until("audio-stop");
    const events = client.events();
    const format = { rate: 48_000, width: 2, channels: 1 };
    expect(events[0]).toMatchObject({ type: "audio-start", data: format });
    const chunks = events.slice(1, -1);
    expect(chunks.length).toBeGreaterThanOrEqual(3);
    for (const chunk of chunks) expect(chunk).toMatchObject({ type: "audio-chunk", data: format });
    expect(spell(soundOf(events))).toBe("Hello from Home Assistant.");
  });

  it("speaks each sentence of a text in pieces as soon as it is there", async () => {
    const client = await openClient();
    client.send(event("synthesize-start", { voice: { name: "parley" } }));
    client.send(event("synthesize-chunk", { text: "One is first. Two " }));
    await client.until("audio-chunk");
    expect(client.events().map(({ type }) => type)).not.toContain("audio-stop");
    client.send(event("synthesize-chunk", { text: "comes after." }));
    // The whole text once more, for servers that know no pieces.
    client.send(event("synthesize", { text: "One is first. Two comes after." }));
    client.send(event("synthesize-stop"));
    await client.until("synthesize-stopped");
    const events = client.events();
    expect(spell(soundOf(events)).replaceAll(/\s+/g, " ").trim()).toBe(
      "One is first. Two comes after.",
    );
    const types = events.map(({ type }) => type).filter((type) => type !== "audio-chunk");
    expect(types).toEqual(["audio-start", "audio-stop", "synthesize-stopped"]);
  });

  it("stops the tiers when its client leaves", async () => {
    const client = await openClient();
    client.send(event("synthesize", { text: "Wait for it." }));
    await vi.waitFor(() => expect(app.status().activeSessions).toBe(1), 10_000);
    client.socket.destroy();
    await vi.waitFor(() => expect(app.status().activeSessions).toBe(0), 10_000);
    expect(app.status().turns).toMatchObject({ disconnected: 1 });
  });

  it.each([
    ["no JSON", "hello\n", "invalid_argument", "header must be an object in JSON"],
    ["no type", "{}\n", "invalid_argument", "type is required"],
    [
      "a text that is none",
      event("synthesize", { text: 7 }),
      "invalid_argument",
      "text is required",
    ],
    ["an empty text", event("synthesize", { text: "" }), "invalid_argument", "text"],
    [
      "too much data",
      '{"type":"synthesize","data_length":999999999}\n',
      "invalid_argument",
      "data_length must be",
    ],
    ["a line without an end", "x".repeat(300_000), "invalid_argument", "header must be at most"],
    ["a voice that fails", event("synthesize", { text: "Fail now." }), "unavailable", "went away"],
  ])("answers %s with an error, and closes", async (_, bytes, code, text) => {
    const client = await openClient();
    const closed = once(client.socket, "close");
    client.send(bytes);
    await client.until("error");
    expect(client.events().at(-1)).toMatchObject({
      type: "error",
      data: { code, text: expect.stringContaining(text) },
    });
    await closed;
    expect(app.status().activeSessions).toBe(0);
  });

  it("ignores events that it does not know", async () => {
    const client = await openClient();
    client.send(`${event("transcribe", { name: "x" })}${event("ping")}`);
    await client.until("pong");
    expect(client.events().length).toBe(1);
  });

  it("closes its connections when the gateway stops", async () => {
    const client = await openClient();
    const closed = once(client.socket, "close");
    await app.stop();
    await closed;
    await expect(once(connect(port, "127.0.0.1"), "connect")).rejects.toThrow("ECONNREFUSED");
  });
});

describe("a failover in mid-sentence", () => {
  it("is not noticed by Wyoming's client", async () => {
    await app.stop();
    await start([createTimedVoice({ breaksAfter: 9 }), createSpellingVoice()]);
    const client = await openClient();
    client.send(event("synthesize", { text: "One two three four." }));
    await client.until("audio-stop");
    const events = client.events();
    expect(spell(soundOf(events)).replaceAll(/\s+/g, " ").trim()).toBe("One two three four.");
    expect(events.filter(({ type }) => type === "audio-start").length).toBe(1);
  });
});

describe("createWyomingServer", () => {
  it("drops an address that is not allowed, before it reads from it", async () => {
    const server = createWyomingServer({
      port: 0,
      isOpen: false,
      allows: () => false,
      openMeter: () => ({ message: () => undefined }),
      conversation: { talk: () => expect.fail("a turn ran") },
      synthesizers: [],
      logger: silent,
    });
    ({ port } = await server.start());
    const client = await openClient();
    client.send(event("ping"));
    await once(client.socket, "close");
    expect(client.events()).toEqual([]);
    await server.stop();
  });
});

describe("WYOMING_ALLOW", () => {
  it("leaves this machine allowed", async () => {
    await app.stop();
    await start([createSpellingVoice()], { WYOMING_ALLOW: "10.0.0.0/8" });
    const client = await openClient();
    client.send(event("ping"));
    await client.until("pong");
  });
});

describe("readEvents", () => {
  it("reads the same events however their bytes are cut", async () => {
    const bytes = Buffer.from(
      `${event("describe")}${event("synthesize", { text: "Ünï" })}{"type":"x","payload_length":4}\nabcd${event("ping")}`,
    );
    async function* cut(size: number) {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const whole = await Array.fromAsync(readEvents(cut(bytes.length)));
    expect(whole.map(({ type }) => type)).toEqual(["describe", "synthesize", "x", "ping"]);
    expect(whole[1]?.data).toEqual({ text: "Ünï" });
    for (const size of [1, 2, 3, 7, 50]) {
      expect(await Array.fromAsync(readEvents(cut(size)))).toEqual(whole);
    }
  });
});
