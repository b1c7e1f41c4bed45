import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RequestPhase, StreamingService } from "../gen/streaming/streaming_pb.ts";
import type { PromptContext } from "../server/models/language-model.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import {
  createScriptedLanguageModel,
  type ReplyStep,
  type ScriptedLanguageModel,
} from "./support/scripted-language-model.ts";
import { createSpellingVoice } from "./support/spelling-voice.ts";

// 1×1 pixel, lossy.
const WEBP = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA";
const { COLLECT, COMMIT, UNSPECIFIED } = RequestPhase;

type Protocol = "gRPC" | "gRPC-Web" | "Connect";
type Request = {
  readonly prompt?: string;
  readonly phase?: RequestPhase;
  readonly chunkSeq?: number;
  readonly chunkText?: string;
  readonly screenshot?: string;
  readonly screenWidth?: number;
  readonly screenHeight?: number;
  readonly hardwareId?: string;
  readonly sessionId?: string;
};

let script: readonly ReplyStep[] = [];
let languageModel: ScriptedLanguageModel;
let prepared: { readonly context: PromptContext; readonly signal: AbortSignal }[] = [];
let gateway: Gateway;
let sessionId: string;

beforeEach(async () => {
  script = ["Fine."];
  prepared = [];
  sessionId = randomUUID();
  languageModel = createScriptedLanguageModel(() => script);
  const prepare = async (context: PromptContext, signal: AbortSignal) => {
    prepared.push({ context, signal });
    throw new Error("what cannot be made ready concerns nobody");
  };
  gateway = await startGateway({
    languageModels: [{ ...languageModel, prepare }],
    synthesizers: [createSpellingVoice()],
  });
});
afterEach(() => gateway.stop());

function connect(protocol: Protocol = "gRPC") {
  const baseUrl = gateway.url;
  switch (protocol) {
    case "gRPC":
      return createClient(StreamingService, createGrpcTransport({ baseUrl }));
    case "gRPC-Web":
      return createClient(
        StreamingService,
        createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
      );
    case "Connect":
      return createClient(
        StreamingService,
        createConnectTransport({ baseUrl, httpVersion: "1.1" }),
      );
  }
}

/** Sends a request of the device "a" and answers the messages' contents. */
async function send(request: Request, client = connect()) {
  const messages = client.streamAudio({ hardwareId: "a", sessionId, ...request });
  return (await Array.fromAsync(messages)).map(({ content }) => content);
}

const collect = (chunkSeq: number, fields: Request, client = connect()) =>
  send({ phase: COLLECT, chunkSeq, ...fields }, client);
const asked = () => languageModel.prompts.at(-1);

/** The picture with other sizes in its header. */
function pictureOf(width: number, height: number): string {
  const webp = Buffer.from(WEBP, "base64");
  webp.writeUInt16LE(width, 26);
  webp.writeUInt16LE(height, 28);
  return webp.toString("base64");
}

const accepted = [{ case: "endMessage", value: "COLLECT_ACCEPTED" }];

describe.for<Protocol>(["gRPC", "gRPC-Web", "Connect"])(
  "COLLECT and COMMIT over %s",
  (protocol) => {
    it("acknowledge each piece alone, and run one turn with all of them", async () => {
      const client = connect(protocol);
      expect(await collect(1, { chunkText: "What is" }, client)).toEqual(accepted);
      expect(await collect(2, { chunkText: "What is on" }, client)).toEqual(accepted);
      expect(await collect(3, { chunkText: " my scr" }, client)).toEqual(accepted);
      expect(languageModel.prompts).toEqual([]);
      const reply = await send({ phase: COMMIT, prompt: "screen?" }, client);
      expect(reply.at(-1)).toEqual({ case: "endMessage", value: "done" });
      expect(languageModel.prompts).toMatchObject([{ text: "What is on my screen?" }]);
      expect(gateway.status().turns).toEqual({ done: 1 });
    });
  },
);

describe("COLLECT", () => {
  it("takes a blank prompt, and a prompt in the place of chunk_text", async () => {
    expect(await collect(0, {})).toEqual(accepted);
    expect(await collect(1, { prompt: "Hello", chunkText: "" })).toEqual(accepted);
    await collect(2, { prompt: "this is not the piece", chunkText: "Hello there" });
    await send({ phase: COMMIT });
    expect(asked()?.text).toBe("Hello there");
  });

  it("ignores pieces that come twice or late, and acknowledges them", async () => {
    await collect(2, { chunkText: "newer words" });
    expect(await collect(2, { chunkText: "newer words, but twice" })).toEqual(accepted);
    expect(await collect(1, { chunkText: "older words" })).toEqual(accepted);
    await send({ phase: COMMIT });
    expect(asked()?.text).toBe("newer words");
  });

  it("keeps the picture and the screen of the last piece that had one", async () => {
    await collect(1, { screenshot: pictureOf(2, 3), screenWidth: 800, screenHeight: 600 });
    await collect(2, { screenshot: pictureOf(4, 5), screenWidth: 1024, screenHeight: 768 });
    await collect(3, { chunkText: "What is this?", screenshot: "" });
    await send({ phase: COMMIT });
    expect(asked()).toMatchObject({
      text: "What is this?",
      screenshot: { width: 4, height: 5 },
      screen: { width: 1024, height: 768 },
    });
  });

  it("gives way to the picture and the screen that the commit itself brings", async () => {
    await collect(1, { chunkText: "Look", screenshot: pictureOf(2, 3), screenWidth: 800 });
    await send({ phase: COMMIT, screenshot: pictureOf(4, 5), screenHeight: 600 });
    expect(asked()).toMatchObject({
      screenshot: { width: 4, height: 5 },
      screen: { width: 800, height: 600 },
    });
  });

  it("is taken by one turn, with or without a phase", async () => {
    await collect(1, { chunkText: "Once" });
    await send({ phase: UNSPECIFIED, prompt: " only." });
    await send({ phase: COMMIT, prompt: "Again." });
    expect(languageModel.prompts.map(({ text }) => text)).toEqual(["Once only.", "Again."]);
  });

  it("goes to one of two commits that come at once", async () => {
    await collect(1, { chunkText: "Once." });
    const client = connect();
    const prompt = "Alone.";
    const both = [1, 2].map(() => send({ phase: COMMIT, prompt }, client));
    expect((await Promise.all(both)).map((reply) => reply.at(-1)?.value)).toEqual(["done", "done"]);
    const texts = languageModel.prompts.map(({ text }) => text).toSorted();
    expect(texts).toEqual(["Alone.", "Once.Alone."]);
  });

  it("stays kept for a commit that came while too many turns ran", async () => {
    await gateway.stop();
    languageModel = createScriptedLanguageModel(() => script);
    const env = { MAX_CONCURRENT_REQUESTS: "1" };
    gateway = await startGateway({ languageModels: [languageModel], env });
    const { promise, resolve } = Promise.withResolvers<void>();
    script = ["One. ", promise];
    const turn = send({ prompt: "Go on." });
    await vi.waitFor(() => expect(languageModel.prompts).toHaveLength(1), 10_000);
    await collect(1, { chunkText: "Keep me." });
    await expect(send({ phase: COMMIT })).rejects.toThrow("resource_exhausted");
    resolve();
    await turn;
    await send({ phase: COMMIT });
    expect(asked()?.text).toBe("Keep me.");
  });

  it("keeps two devices and two sessions apart", async () => {
    const other = randomUUID();
    await collect(1, { chunkText: "I am a." });
    await collect(1, { chunkText: "I am b.", hardwareId: "b" });
    await collect(1, { chunkText: "I am a elsewhere.", sessionId: other });
    await send({ phase: COMMIT, hardwareId: "b" });
    await send({ phase: COMMIT, sessionId: other });
    await send({ phase: COMMIT });
    expect(languageModel.prompts.map(({ deviceId, text }) => [deviceId, text])).toEqual([
      ["b", "I am b."],
      ["a", "I am a elsewhere."],
      ["a", "I am a."],
    ]);
  });

  it("is no turn: it interrupts none and counts as none", async () => {
    await gateway.stop();
    const env = { MAX_SESSIONS: "1", MAX_CONCURRENT_REQUESTS: "1" };
    languageModel = createScriptedLanguageModel(() => script);
    gateway = await startGateway({ languageModels: [languageModel], env });
    const { promise, resolve } = Promise.withResolvers<void>();
    script = ["One. ", promise, "Two."];
    const turn = send({ prompt: "Go on." });
    await vi.waitFor(() => expect(languageModel.prompts).toHaveLength(1), 10_000);
    for (const seq of [1, 2, 3]) expect(await collect(seq, { chunkText: "x" })).toEqual(accepted);
    expect(gateway.status().activeSessions).toBe(1);
    resolve();
    expect((await turn).at(-1)?.value).toBe("done");
    expect(gateway.status().turns).toEqual({ done: 1 });
  });

  it("is dropped by InterruptSession, for that device alone", async () => {
    await collect(1, { chunkText: "Forget this." });
    await collect(1, { chunkText: "Keep this.", hardwareId: "b" });
    const answer = await connect().interruptSession({ hardwareId: "a" });
    expect(answer.interruptedSessions).toEqual([]);
    await send({ phase: COMMIT, prompt: "New words." });
    await send({ phase: COMMIT, hardwareId: "b" });
    expect(languageModel.prompts.map(({ text }) => text)).toEqual(["New words.", "Keep this."]);
  });

  it("waits where a greeting is spoken in between", async () => {
    await collect(1, { chunkText: "My question" });
    const greeting = await send({ prompt: "__GREETING__:Welcome." });
    expect(greeting.at(-1)?.value).toBe("greeting_done");
    expect(greeting[0]).toEqual({ case: "textChunk", value: "Welcome." });
    await send({ phase: COMMIT });
    expect(asked()?.text).toBe("My question");
  });

  it("stays kept for a commit that was refused", async () => {
    await collect(1, { chunkText: "Keep me." });
    const bad = send({ phase: COMMIT, screenWidth: -1 });
    await expect(bad).rejects.toThrow("screen_width must be 1 to 32768 pixels");
    await expect(send({ phase: COMMIT, prompt: "x".repeat(65_536) })).rejects.toThrow(
      "prompt must be at most 65536 bytes",
    );
    await send({ phase: COMMIT });
    expect(asked()?.text).toBe("Keep me.");
  });

  it.each<[string, Request]>([
    ["session_id is required with a phase and must be a UUID", { sessionId: "" }],
    ["session_id is required with a phase and must be a UUID", { sessionId: "session-1" }],
    ["session_id is required with a phase", { sessionId: "2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d" }],
    ["session_id is required with a phase", { phase: COMMIT, prompt: "x", sessionId: "s" }],
    ["hardware_id is required", { hardwareId: "" }],
    ["chunk_seq must be a whole number from 0 up", { chunkSeq: -1 }],
    ["chunk_text must be at most 65536 bytes", { chunkText: "x".repeat(65_537) }],
    ["prompt must be at most 65536 bytes", { prompt: "x".repeat(65_537) }],
    ["screenshot must be", { screenshot: "AAAA" }],
    ["screen_height must be", { screenHeight: -1 }],
    ["phase must be UNSPECIFIED (0), COLLECT (1) or COMMIT (2)", { phase: 3 as RequestPhase }],
    ["prompt is required and must not be blank", { phase: COMMIT }],
  ])("is refused with the rule: %s (%j)", async (message, request) => {
    const refused = collect(1, request);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({
      rawMessage: expect.not.stringMatching(/limit|quota|subscri/i),
    });
  });

  it("refuses text beyond 64 KiB in all, and keeps what it had", async () => {
    await collect(1, { chunkText: "x".repeat(65_536) });
    await expect(collect(2, { chunkText: "yes" })).rejects.toThrow("chunk_text must be at most");
    await send({ phase: COMMIT });
    expect(asked()?.text).toBe("x".repeat(65_536));
  });
});

describe("prepare, while the user still speaks", () => {
  it("is told who will ask and what was said before, and lets go when the turn is over", async () => {
    await send({ prompt: "First." });
    await collect(1, { chunkText: "Sec" });
    await collect(2, { chunkText: "Second." });
    expect(prepared).toHaveLength(1);
    expect(prepared[0]?.context).toEqual({
      deviceId: "a",
      sessionId,
      history: [{ user: "First.", assistant: "Fine.", turnId: expect.any(String) }],
    });
    expect(prepared[0]?.signal.aborted).toBe(false);
    await send({ phase: COMMIT });
    expect(asked()?.text).toBe("Second.");
    expect(prepared[0]?.signal.aborted).toBe(true);
  });

  it("lets go when the device is interrupted, and when the gateway stops", async () => {
    await collect(1, { chunkText: "x" });
    await collect(1, { chunkText: "x", hardwareId: "b" });
    await connect().interruptSession({ hardwareId: "a" });
    expect(prepared.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    await gateway.stop();
    expect(prepared.map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });
});
