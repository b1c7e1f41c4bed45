import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type Gateway, startGateway } from "../support/gateway.ts";
import {
  createScriptedLanguageModel,
  type ReplyStep,
  type ScriptedLanguageModel,
} from "../support/scripted-language-model.ts";
import { connectRealtime, type RealtimeEvent } from "./realtime-client.ts";
import { createTimedVoice, readSpelled24 } from "./spelled.ts";

const never = new Promise<never>(() => undefined);
let reply: readonly ReplyStep[] = [];
let languageModel: ScriptedLanguageModel;
let gateway: Gateway;

beforeEach(async () => {
  reply = ["Hello there. ", "How are you?"];
  languageModel = createScriptedLanguageModel(() => reply);
  gateway = await startGateway({
    languageModels: [languageModel],
    synthesizers: [createTimedVoice({ failing: "Fail." })],
  });
});
afterEach(() => gateway.stop());

const connect = () => connectRealtime(gateway.httpPort);
const typesOf = (events: readonly RealtimeEvent[]) => events.map(({ type }) => type);
const textOf = (events: readonly RealtimeEvent[], type: string) =>
  events
    .filter((event) => event.type === type)
    .map(({ delta }) => delta)
    .join("");
const soundOf = (events: readonly RealtimeEvent[]) =>
  Buffer.concat(
    events
      .filter(({ type }) => type === "response.output_audio.delta")
      .map(({ delta }) => Buffer.from(`${delta}`, "base64")),
  );
/** The events with those of one kind in a row told once. */
const inShort = (events: readonly RealtimeEvent[]) =>
  typesOf(events).filter((type, index, all) => type !== all[index - 1]);

describe("/v1/realtime", () => {
  it("answers words with sound, its transcript, and the events around them", async () => {
    await using client = await connect();
    client.ask("Hi.");
    const done = await client.until("response.done");
    expect(inShort(client.events)).toEqual([
      "session.created",
      "conversation.item.added",
      "conversation.item.done",
      "response.created",
      "response.output_item.added",
      "conversation.item.added",
      "response.content_part.added",
      "response.output_audio_transcript.delta",
      "response.output_audio.delta",
      "response.output_audio_transcript.delta",
      "response.output_audio.delta",
      "response.output_audio.done",
      "response.output_audio_transcript.done",
      "response.content_part.done",
      "response.output_item.done",
      "conversation.item.done",
      "response.done",
    ]);
    expect(readSpelled24(soundOf(client.events))).toBe("Hello there. How are you?");
    expect(textOf(client.events, "response.output_audio_transcript.delta")).toBe(
      "Hello there. How are you?",
    );
    expect(done).toMatchObject({
      event_id: expect.stringMatching(/^event_/),
      response: {
        object: "realtime.response",
        status: "completed",
        output: [{ role: "assistant", content: [{ transcript: "Hello there. How are you?" }] }],
        usage: { total_tokens: 1 + 7 + 5 },
      },
    });
    expect(client.events[0]).toMatchObject({
      session: { model: "gpt-realtime", audio: { output: { voice: "alloy" } } },
    });
  });

  it("answers with text where the session wants text", async () => {
    await using client = await connect();
    const session = { type: "realtime", output_modalities: ["text"], instructions: "Be brief." };
    client.send({ type: "session.update", session });
    expect(await client.until("session.updated")).toMatchObject({ session });
    client.ask("Hi.");
    await client.until("response.done");
    expect(textOf(client.events, "response.output_text.delta")).toBe("Hello there. How are you?");
    expect(typesOf(client.events)).not.toContain("response.output_audio.delta");
    expect(gateway.spoken).toEqual([]);
    expect(languageModel.prompts[0]).toMatchObject({ text: "Hi.", instructions: "Be brief." });
  });

  it("keeps the session's conversation for the next response, and forgets what is deleted", async () => {
    await using client = await connect();
    client.ask("One?");
    await client.until("response.done");
    client.ask("Two?");
    await client.until("response.done", 2);
    expect(languageModel.prompts[1]).toMatchObject({
      text: "Two?",
      history: [{ user: "One?", assistant: "Hello there. How are you?" }],
    });
    for (const { item } of client.events.filter(({ type }) => type === "conversation.item.done")) {
      const { id } = item as { id: string };
      client.send({ type: "conversation.item.delete", item_id: id });
    }
    await client.until("conversation.item.deleted", 4);
    client.ask("Three?");
    await client.until("response.done", 3);
    expect(languageModel.prompts[2]?.history).toBeUndefined();
  });

  it("stops the tiers on response.cancel, and answers the next response at once", async () => {
    reply = ["Hello there. And", never];
    await using client = await connect();
    client.ask("Hi.");
    await client.until("response.output_audio.delta");
    client.send({ type: "response.cancel" });
    const done = await client.until("response.done");
    expect(done).toMatchObject({
      response: {
        status: "cancelled",
        status_details: { type: "cancelled", reason: "client_cancelled" },
        output: [{ status: "incomplete" }],
      },
    });
    expect(languageModel.cancels()).toBe(1);
    reply = ["Yes."];
    client.ask("And now?");
    expect(await client.until("response.done", 2)).toMatchObject({
      response: { status: "completed" },
    });
  });

  it("keeps of a truncated reply what was heard", async () => {
    await using client = await connect();
    client.ask("Hi.");
    await client.until("response.done");
    const { item_id } = await client.until("response.output_audio.delta");
    // Each letter takes 10 ms: "Hello there" ends at 110 ms, and "How" at 160.
    const truncate = { type: "conversation.item.truncate", item_id, content_index: 0 };
    client.send({ ...truncate, audio_end_ms: 165 });
    expect(await client.until("conversation.item.truncated")).toMatchObject({
      item_id,
      content_index: 0,
      audio_end_ms: 165,
    });
    client.ask("Go on.");
    await client.until("response.done", 2);
    expect(languageModel.prompts[1]?.history).toEqual([
      { user: "Hi.", assistant: "Hello there. How" },
    ]);
    client.send({ ...truncate, audio_end_ms: 9999, event_id: "mine" });
    expect(await client.until("error")).toMatchObject({
      error: { param: "audio_end_ms", event_id: "mine" },
    });
  });

  it("keeps what was heard of a reply that was cancelled first", async () => {
    reply = ["Hello there. And", never];
    await using client = await connect();
    client.ask("Hi.");
    const { item_id } = await client.until("response.output_audio.delta", 2);
    client.send({ type: "response.cancel" });
    client.send({
      type: "conversation.item.truncate",
      item_id,
      content_index: 0,
      audio_end_ms: 55,
    });
    await client.until("response.done");
    reply = ["Yes."];
    client.ask("What?");
    await client.until("response.done", 2);
    expect(languageModel.prompts[1]?.history).toEqual([{ user: "Hi.", assistant: "Hello" }]);
  });

  it("speaks at the session's speed, and cuts by what was heard at it", async () => {
    await using client = await connect();
    client.send({ type: "session.update", session: { audio: { output: { speed: 0.5 } } } });
    client.ask("Hi.");
    await client.until("response.done");
    // 25 letters of 20 ms at 24 kHz, two bytes a sample.
    expect(soundOf(client.events).length).toBe(25 * 0.02 * 24_000 * 2);
    const { item_id } = await client.until("response.output_audio.delta");
    const heard = { item_id, content_index: 0, audio_end_ms: 330 };
    client.send({ type: "conversation.item.truncate", ...heard });
    client.ask("Go on.");
    await client.until("response.done", 2);
    expect(languageModel.prompts[1]?.history?.[0]?.assistant).toBe("Hello there. How");
  });

  it("speaks by instructions alone where the user has said nothing", async () => {
    await using client = await connect();
    client.send({ type: "response.create", response: { instructions: "Greet the user." } });
    await client.until("response.done");
    expect(languageModel.prompts[0]).toMatchObject({ text: "Greet the user." });
    client.send({ type: "response.create", response: { conversation: "none", input: [] } });
    expect(await client.until("error")).toMatchObject({ error: { param: "response" } });
  });

  it("makes a response outside of the conversation", async () => {
    await using client = await connect();
    const content = [{ type: "input_text", text: "Sum it up." }];
    const response = {
      conversation: "none",
      input: [{ type: "message", role: "user", content }],
      metadata: { topic: "sum" },
    };
    client.send({ type: "response.create", response });
    expect(await client.until("response.done")).toMatchObject({
      response: { status: "completed", metadata: { topic: "sum" } },
    });
    expect(typesOf(client.events)).not.toContain("conversation.item.added");
    client.ask("Hi.");
    await client.until("response.done", 2);
    expect(languageModel.prompts[1]?.history).toBeUndefined();
  });

  it("refuses a second response while one is in progress", async () => {
    reply = ["Hello there. And", never];
    await using client = await connect();
    client.ask("Hi.");
    await client.until("response.output_audio.delta");
    client.send({ type: "response.create" });
    expect(await client.until("error")).toMatchObject({
      error: { code: "conversation_already_has_active_response" },
    });
  });

  it("ends a response whose turn fails as failed, and goes on", async () => {
    reply = ["One. ", "Fail."];
    await using client = await connect();
    client.ask("Hi.");
    expect(await client.until("response.done")).toMatchObject({
      response: {
        status: "failed",
        status_details: { type: "failed", error: { code: "service_unavailable" } },
      },
    });
    reply = ["Yes."];
    client.ask("Again?");
    expect(await client.until("response.done", 2)).toMatchObject({
      response: { status: "completed" },
    });
  });

  it("says once that it hears no microphone", async () => {
    await using client = await connect();
    const append = { type: "input_audio_buffer.append", audio: "AAAA" };
    for (let count = 0; count < 3; count++) client.send(append);
    client.send({ type: "input_audio_buffer.clear" });
    await client.until("input_audio_buffer.cleared");
    const errors = client.events.filter(({ type }) => type === "error");
    expect(errors).toMatchObject([{ error: { code: "audio_input_not_supported" } }]);
  });

  const tool = { type: "function", name: "f" };
  const image = { type: "message", role: "user", content: [{ type: "input_image" }] };
  it.each<[string, RealtimeEvent, object]>([
    ["an unknown event", { type: "response.dance" }, { param: "type" }],
    ["an event without a type", {} as RealtimeEvent, { param: "type" }],
    ["tools", { type: "session.update", session: { tools: [tool] } }, { param: "session.tools" }],
    [
      "another rate of sound",
      {
        type: "session.update",
        session: { audio: { output: { format: { type: "audio/pcmu" } } } },
      },
      { param: "session.audio.output.format.type" },
    ],
    [
      "a picture",
      { type: "conversation.item.create", item: image },
      { param: "item.content.0.type" },
    ],
    [
      "an item that is not there",
      { type: "conversation.item.delete", item_id: "x" },
      { code: "item_not_found" },
    ],
    ["a cancel of nothing", { type: "response.cancel" }, { code: "response_cancel_not_active" }],
  ])("answers %s with an error, and goes on", async (_, event, expected) => {
    await using client = await connect();
    client.send(event);
    const { error } = await client.until("error");
    expect(error).toMatchObject({ type: "invalid_request_error", ...expected });
    client.ask("Hi.");
    await client.until("response.done");
  });

  it("answers what is no JSON with an error", async () => {
    await using client = await connect();
    client.socket.send("{");
    expect(await client.until("error")).toMatchObject({ error: { code: "invalid_json" } });
    client.socket.send(Buffer.from("{}"));
    expect(await client.until("error", 2)).toMatchObject({ error: { code: "invalid_json" } });
  });

  it("cancels the turn when the client leaves", async () => {
    reply = ["Hello there. And", never];
    const client = await connect();
    client.ask("Hi.");
    await client.until("response.output_audio.delta");
    client.socket.terminate();
    await gateway.untilIdle();
    expect(languageModel.cancels()).toBe(1);
    expect(gateway.status().turns).toEqual({ disconnected: 1 });
  });

  it("is refused to pages of other origins and to foreign hosts, and open to those named", async () => {
    const statusOf = async (headers: Record<string, string>, port = gateway.httpPort) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/realtime`, { headers });
      socket.on("error", () => undefined);
      const answer = await Promise.race([
        once(socket, "unexpected-response").then(([, { statusCode }]) => statusCode),
        once(socket, "open").then(() => 101),
      ]);
      socket.terminate();
      return answer;
    };
    expect(await statusOf({ origin: "https://evil.example" })).toBe(403);
    expect(await statusOf({ host: "evil.example" })).toBe(403);
    expect(await statusOf({ origin: "http://localhost:3000" })).toBe(101);
    expect(await statusOf({})).toBe(101);
    await using named = await startGateway({ env: { CORS_ORIGINS: "https://app.example" } });
    expect(await statusOf({ origin: "https://app.example" }, named.httpPort)).toBe(101);
    expect(await statusOf({ origin: "https://other.example" }, named.httpPort)).toBe(403);
  });

  it("answers a request that is no WebSocket with 426", async () => {
    const response = await fetch(`${gateway.httpUrl}/v1/realtime`);
    expect(response.status).toBe(426);
    expect(await response.json()).toMatchObject({ error: { code: "upgrade_required" } });
    const transcription = await fetch(`${gateway.httpUrl}/v1/realtime?intent=transcription`);
    expect(transcription.status).toBe(426);
  });

  it("is closed, and its turn with it, when the gateway stops", async () => {
    reply = ["Hello there. And", never];
    await using client = await connect();
    client.ask("Hi.");
    await client.until("response.output_audio.delta");
    const closed = once(client.socket, "close");
    await gateway.stop();
    expect((await closed)[0]).toBe(1001);
    expect(client.events.at(-1)).toMatchObject({
      type: "response.done",
      response: { status: "failed" },
    });
  });
});
