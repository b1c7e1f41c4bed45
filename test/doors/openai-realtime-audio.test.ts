import { createConnection } from "node:net";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents-realtime";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type GeminiLiveEmulator, startGeminiLiveEmulator } from "../../emulators/gemini-live.ts";
import { bytesOf, samplesOf } from "../../server/core/audio/pcm.ts";
import { createGeminiLiveModel } from "../../server/providers/gemini-live/gemini-live.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { connectRealtime, type RealtimeEvent } from "./realtime-client.ts";

// Each letter sounds for 5 ms, and sound leaves in chunks of 96 ms.
const REPLY = ["It is noon, as far as anybody ", "here can tell. ", "Anything else?"];
const HEARD = ["What time", " is it?"];

let live: GeminiLiveEmulator;
let gateway: Gateway;
const second = createScriptedLanguageModel(
  ({ prefix = "" }) => [REPLY.join("").slice(prefix.length)],
  "second",
);

beforeEach(async () => {
  live = await startGeminiLiveEmulator();
  live.play({ deltas: REPLY });
  live.behave({ hears: HEARD });
  const first = createGeminiLiveModel({ apiKey: "k", baseUrl: live.url, model: "m" });
  second.prompts.splice(0);
  gateway = await startGateway({ languageModels: [first, second] });
});
afterEach(async () => {
  await gateway.stop();
  await live.stop();
});

const TONE_HZ = 440;

/** A microphone of 24 kHz: a tone for the voice, and next to nothing where nobody speaks. */
function record(...parts: readonly (readonly ["voice" | "quiet", ms: number])[]): Int16Array {
  return Int16Array.from(
    parts.flatMap(([kind, ms]) =>
      Array.from({ length: ms * 24 }, (_, at) =>
        kind === "voice" ? 8000 * Math.sin((at / 24_000) * 2 * Math.PI * TONE_HZ) : at % 3,
      ),
    ),
  );
}

const spoken = record(["quiet", 400], ["voice", 1000], ["quiet", 700]);

/** In pieces of 40 ms, as microphones send. */
function* piecesOf(pcm: Int16Array): Iterable<Uint8Array> {
  for (let at = 0; at < pcm.length; at += 960) yield bytesOf(pcm.slice(at, at + 960));
}

type Client = { send(event: RealtimeEvent): void };

function speak(client: Client, pcm: Int16Array): void {
  for (const bytes of piecesOf(pcm)) {
    const audio = Buffer.from(bytes).toString("base64");
    client.send({ type: "input_audio_buffer.append", audio });
  }
}

const configure = (client: Client, input: object) =>
  client.send({ type: "session.update", session: { type: "realtime", audio: { input } } });

/** What the service got to hear: at 16 kHz. */
function heardBy(service: GeminiLiveEmulator, index = -1) {
  const pieces = service.requests.at(index)?.speech ?? [];
  expect(new Set(pieces.map(({ mimeType }) => mimeType))).toEqual(
    new Set(["audio/pcm;rate=16000"]),
  );
  const bytes = Buffer.concat(pieces.map(({ data }) => Buffer.from(data, "base64")));
  const pcm = samplesOf(Uint8Array.from(bytes));
  const rises = pcm.filter((sample, at) => sample > 100 && (pcm[at - 1] ?? 0) <= 100).length;
  return { ms: pcm.length / 16, rises };
}

const itemsOf = (events: readonly RealtimeEvent[]) => events.map(({ type }) => type);

describe("/v1/realtime with a tier that hears", () => {
  it("answers what the user says, when the user is silent", async () => {
    await using client = await connectRealtime(gateway.httpPort);
    configure(client, { transcription: { model: "any" } });
    speak(client, spoken);
    const done = await client.until("response.done");
    const order = itemsOf(client.events).filter((type, at, all) => type !== all[at - 1]);
    expect(order.slice(0, 11)).toEqual([
      "session.created",
      "session.updated",
      "input_audio_buffer.speech_started",
      "input_audio_buffer.speech_stopped",
      "input_audio_buffer.committed",
      "conversation.item.added",
      "conversation.item.done",
      "response.created",
      "conversation.item.input_audio_transcription.delta",
      "response.output_item.added",
      "conversation.item.added",
    ]);
    expect(order).toContain("response.output_audio.delta");
    expect(done).toMatchObject({
      response: {
        status: "completed",
        output: [{ content: [{ transcript: REPLY.join("") }] }],
        usage: { input_token_details: { audio_tokens: expect.any(Number) } },
      },
    });
    const { item_id } = await client.until("input_audio_buffer.committed");
    expect(
      await client.until("conversation.item.input_audio_transcription.completed"),
    ).toMatchObject({ item_id, content_index: 0, transcript: "What time is it?" });
    const started = await client.until("input_audio_buffer.speech_started");
    const stopped = await client.until("input_audio_buffer.speech_stopped");
    expect(started["item_id"]).toBe(item_id);
    // 300 ms from before the voice, and 500 of silence behind it.
    expect(started["audio_start_ms"]).toBeGreaterThanOrEqual(80);
    expect(started["audio_start_ms"]).toBeLessThanOrEqual(140);
    expect(stopped["audio_end_ms"]).toBeGreaterThanOrEqual(1880);
    expect(stopped["audio_end_ms"]).toBeLessThanOrEqual(2020);
    const { ms, rises } = heardBy(live);
    expect(ms).toBeGreaterThan(1700);
    expect(ms).toBeLessThan(1950);
    expect(rises).toBeGreaterThan(TONE_HZ - 5);
    expect(rises).toBeLessThan(TONE_HZ + 5);
  });

  it("waits for the client's commit where it detects nothing", async () => {
    await using client = await connectRealtime(gateway.httpPort);
    configure(client, { turn_detection: null });
    client.send({ type: "input_audio_buffer.commit" });
    expect(await client.until("error")).toMatchObject({
      error: { code: "input_audio_buffer_commit_empty" },
    });
    speak(client, record(["voice", 300]));
    client.send({ type: "input_audio_buffer.clear" });
    await client.until("input_audio_buffer.cleared");
    speak(client, record(["voice", 500]));
    client.send({ type: "input_audio_buffer.commit" });
    await client.until("input_audio_buffer.committed");
    expect(live.requests).toEqual([]);
    client.send({ type: "response.create" });
    await client.until("response.done");
    expect(heardBy(live).ms).toBeGreaterThan(490);
    expect(heardBy(live).ms).toBeLessThanOrEqual(500);
    expect(itemsOf(client.events)).not.toContain("input_audio_buffer.speech_started");
    expect(itemsOf(client.events).join()).not.toContain("input_audio_transcription");
    // The next turn knows the words.
    client.ask("Thanks.");
    await client.until("response.done", 2);
    const said = JSON.stringify(live.requests.at(-1)?.contents);
    expect(said).toContain("What time is it?");
    expect(said).toContain(REPLY.join(""));
  });

  it("makes no response by itself, and no barge-in, where the session says so", async () => {
    live.play({ deltas: REPLY, fault: { kind: "hang", afterParts: 2 } });
    await using client = await connectRealtime(gateway.httpPort);
    const rules = { create_response: false, interrupt_response: false };
    configure(client, { turn_detection: { type: "server_vad", ...rules } });
    speak(client, spoken);
    await client.until("input_audio_buffer.committed");
    client.send({ type: "response.create" });
    await client.until("response.output_audio.delta");
    speak(client, spoken);
    await client.until("input_audio_buffer.committed", 2);
    expect(itemsOf(client.events)).not.toContain("response.done");
    client.send({ type: "response.cancel" });
    expect(await client.until("response.done")).toMatchObject({
      response: { status_details: { reason: "client_cancelled" } },
    });
  });

  it("cancels the response when the user speaks, and answers that", async () => {
    live.play({ deltas: REPLY, fault: { kind: "hang", afterParts: 2 } });
    await using client = await connectRealtime(gateway.httpPort);
    speak(client, spoken);
    await client.until("response.output_audio.delta");
    live.play({ deltas: ["Yes."] });
    speak(client, spoken);
    expect(await client.until("response.done")).toMatchObject({
      response: {
        status: "cancelled",
        status_details: { type: "cancelled", reason: "turn_detected" },
      },
    });
    expect(await client.until("response.done", 2)).toMatchObject({
      response: { status: "completed", output: [{ content: [{ transcript: "Yes." }] }] },
    });
    expect(live.requests).toHaveLength(2);
    await expect.poll(() => gateway.status().turns).toEqual({ interrupted: 1, done: 1 });
  });

  it("goes on by the next tier, which gets the words that were heard", async () => {
    live.play({ deltas: REPLY, fault: { kind: "cut", afterParts: 2 } });
    await using client = await connectRealtime(gateway.httpPort);
    speak(client, spoken);
    expect(await client.until("response.done")).toMatchObject({
      response: {
        status: "completed",
        output: [{ content: [{ transcript: REPLY.join("") }] }],
      },
    });
    expect(second.prompts).toMatchObject([
      { text: "What time is it?", prefix: REPLY.slice(0, 2).join("") },
    ]);
    expect(second.prompts[0]).not.toHaveProperty("audio");
  });

  it("asks a tier that does not hear where the first fails once it has told the words", async () => {
    live.play({ fault: { kind: "empty" } });
    await using client = await connectRealtime(gateway.httpPort);
    speak(client, spoken);
    await client.until("response.done");
    expect(second.prompts).toMatchObject([{ text: "What time is it?" }]);
  });

  it("fails clearly where the words are not known, and keeps the voice for another try", async () => {
    live.behave({});
    live.play({ fault: { kind: "refuse" } });
    await using client = await connectRealtime(gateway.httpPort);
    configure(client, { transcription: { model: "any" } });
    speak(client, spoken);
    expect(await client.until("response.done")).toMatchObject({
      response: { status: "failed", status_details: { error: { code: "service_unavailable" } } },
    });
    const failed = "conversation.item.input_audio_transcription.failed";
    expect(await client.until(failed)).toMatchObject({ error: { code: "service_unavailable" } });
    expect(second.prompts).toEqual([]);
    live.play({ deltas: REPLY });
    client.send({ type: "response.create" });
    expect(await client.until("response.done", 2)).toMatchObject({
      response: { status: "completed" },
    });
    expect(heardBy(live).ms).toBeGreaterThan(1700);
  });

  it.each<[string, RealtimeEvent, object]>([
    [
      "sound that is no base64",
      { type: "input_audio_buffer.append", audio: "?" },
      { param: "audio" },
    ],
    ["no sound", { type: "input_audio_buffer.append" }, { param: "audio" }],
    [
      "another format",
      {
        type: "session.update",
        session: { audio: { input: { format: { type: "audio/pcmu" } } } },
      },
      { param: "session.audio.input.format.type" },
    ],
    [
      "a wrong threshold",
      {
        type: "session.update",
        session: { audio: { input: { turn_detection: { type: "server_vad", threshold: 2 } } } },
      },
      { param: "session.audio.input.turn_detection.threshold" },
    ],
  ])("answers %s with an error, and goes on", async (_, event, expected) => {
    await using client = await connectRealtime(gateway.httpPort);
    client.send(event);
    const { error } = await client.until("error");
    expect(error).toMatchObject({ type: "invalid_request_error", ...expected });
    speak(client, spoken);
    await client.until("response.done");
  });

  it("holds a minute of sound at most", async () => {
    await using client = await connectRealtime(gateway.httpPort);
    configure(client, { turn_detection: null });
    const minute = record(["quiet", 6000]);
    for (let count = 0; count < 10; count++) speak(client, minute);
    speak(client, record(["quiet", 100]));
    expect(await client.until("error")).toMatchObject({
      error: { code: "input_audio_buffer_full", param: "audio" },
    });
    client.send({ type: "input_audio_buffer.clear" });
    speak(client, record(["voice", 300]));
    client.send({ type: "input_audio_buffer.commit" });
    await client.until("input_audio_buffer.committed");
  });
});

describe("the vendor's clients", () => {
  it("openai: speaks and is answered", async () => {
    const client = new OpenAI({ apiKey: "unused", baseURL: `${gateway.httpUrl}/v1` });
    // It takes TLS for granted: here it is given a plain connection.
    const options = { createConnection: () => createConnection(gateway.httpPort, "127.0.0.1") };
    const socket = new OpenAIRealtimeWS({ model: "gpt-realtime", options }, client);
    const done = Promise.withResolvers<string | undefined>();
    socket.on("error", done.reject);
    socket.on("response.done", ({ response }) => done.resolve(response.status));
    const words: string[] = [];
    socket.on("response.output_audio_transcript.delta", ({ delta }) => words.push(delta));
    socket.on("session.created", () => {
      for (const bytes of piecesOf(spoken)) {
        const audio = Buffer.from(bytes).toString("base64");
        socket.send({ type: "input_audio_buffer.append", audio });
      }
    });
    expect(await done.promise).toBe("completed");
    expect(words.join("")).toBe(REPLY.join(""));
    socket.close();
  });

  it("@openai/agents-realtime: is interrupted by the user's voice, and shows the words", async () => {
    live.play({ deltas: REPLY, fault: { kind: "hang", afterParts: 2 } });
    const transport = new OpenAIRealtimeWebSocket();
    const session = new RealtimeSession(new RealtimeAgent({ name: "Parley" }), { transport });
    const sounds = Promise.withResolvers<void>();
    const interrupted = Promise.withResolvers<void>();
    session.on("audio", () => sounds.resolve());
    session.on("audio_interrupted", () => interrupted.resolve());
    await session.connect({
      apiKey: "unused",
      url: `${gateway.httpUrl.replace(/^http/, "ws")}/v1/realtime`,
    });
    const say = () => {
      for (const bytes of piecesOf(spoken)) session.sendAudio(Uint8Array.from(bytes).buffer);
    };
    say();
    await sounds.promise;
    live.play({ deltas: ["Yes."] });
    say();
    await interrupted.promise;
    await expect.poll(() => JSON.stringify(session.history)).toContain('"transcript":"Yes."');
    expect(JSON.stringify(session.history)).toContain('"transcript":"What time is it?"');
    session.close();
  });
});
