import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProviderError } from "../../server/core/errors.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import {
  createScriptedLanguageModel,
  type ReplyStep,
  type ScriptedLanguageModel,
} from "../support/scripted-language-model.ts";

const never = new Promise<never>(() => undefined);
let reply: readonly ReplyStep[] = [];
let languageModel: ScriptedLanguageModel;
let gateway: Gateway;

beforeEach(async () => {
  reply = ["Hel", "lo th", "ere."];
  languageModel = createScriptedLanguageModel(() => reply);
  gateway = await startGateway({
    languageModels: [languageModel, createScriptedLanguageModel([" And on."], "second")],
  });
});
afterEach(() => gateway.stop());

const user = { role: "user", content: "Hi." };
const ask = (fields: object, init: RequestInit = {}) =>
  fetch(`${gateway.httpUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "gpt-x", messages: [user], ...fields }),
    ...init,
  });

type Chunk = {
  readonly object: string;
  readonly choices: { delta: { content?: string; role?: string }; finish_reason: string | null }[];
  readonly usage?: object | null;
  readonly error?: object;
};

async function chunksOf(response: Response): Promise<Chunk[]> {
  const events = (await response.text()).trim().split("\n\n");
  return events
    .filter((event) => event !== "data: [DONE]")
    .map((event) => JSON.parse(event.replace(/^data: /, "")));
}

const textOf = (chunks: readonly Chunk[]) =>
  chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");

describe("POST /v1/chat/completions", () => {
  it("answers with the reply and its usage, and asks no voice", async () => {
    const response = await ask({ temperature: 0.2, max_tokens: 50, tools: [] });
    expect(await response.json()).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion",
      model: "gpt-x",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello there." },
          finish_reason: "stop",
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 },
    });
    expect(gateway.spoken).toEqual([]);
    expect(gateway.status().turns).toEqual({ done: 1 });
  });

  it("streams each delta as the model writes it", async () => {
    const response = await ask({ stream: true, stream_options: { include_usage: true } });
    const text = await response.clone().text();
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    const chunks = await chunksOf(response);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content)).toEqual([
      "",
      "Hel",
      "lo th",
      "ere.",
      undefined,
      undefined,
    ]);
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("stop");
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } });
  });

  it("gives the model the conversation, and the client's instructions in place of its own", async () => {
    await ask({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "One?" },
        { role: "assistant", content: "Two." },
        { role: "developer", content: "Be kind." },
        {
          role: "user",
          content: [
            { type: "text", text: "Thr" },
            { type: "text", text: "ee?" },
          ],
        },
      ],
    });
    expect(languageModel.prompts[0]).toMatchObject({
      text: "Three?",
      instructions: "Be brief.\n\nBe kind.",
      history: [{ user: "One?", assistant: "Two." }],
    });
  });

  it("hands over to the next model in mid-sentence, and the client notices nothing", async () => {
    reply = ["Hello", new ProviderError("scripted", "server", "broke off")];
    const chunks = await chunksOf(await ask({ stream: true }));
    expect(textOf(chunks)).toBe("Hello And on.");
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe("stop");
    expect(gateway.status().failovers).toMatchObject([{ midway: true }]);
  });

  it("says that a reply which no model could go on with is cut", async () => {
    await using alone = await startGateway({
      languageModels: [
        createScriptedLanguageModel(["Hello", new ProviderError("scripted", "server", "x")]),
      ],
    });
    const response = await fetch(`${alone.httpUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages: [user] }),
    });
    expect(await response.json()).toMatchObject({
      choices: [{ message: { content: "Hello" }, finish_reason: "length" }],
    });
  });

  it("answers a failure before the first delta with a status", async () => {
    await using down = await startGateway({
      languageModels: [
        createScriptedLanguageModel([new ProviderError("scripted", "server", "is down")]),
      ],
    });
    const response = await fetch(`${down.httpUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages: [user], stream: true }),
    });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { type: "server_error" } });
  });

  it("ends a stream with an error when the turn is cut short", async () => {
    await using late = await startGateway({
      languageModels: [createScriptedLanguageModel(["Hello", never])],
      env: { MAX_PROCESSING_TIME: "0.5", TEXT_TIMEOUT: "1", SPEECH_TIMEOUT: "1" },
    });
    const response = await fetch(`${late.httpUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages: [user], stream: true }),
    });
    const chunks = await chunksOf(response);
    const last = chunks.at(-1);
    expect(last?.error ?? last?.choices[0]).toMatchObject(
      last?.error ? { code: "timeout" } : { finish_reason: "length" },
    );
  });

  it("stops the model when the client leaves", async () => {
    reply = ["Hello", never];
    const aborter = new AbortController();
    const response = await ask({ stream: true }, { signal: aborter.signal });
    await response.body?.getReader().read();
    aborter.abort();
    await gateway.untilIdle();
    expect(languageModel.cancels()).toBe(1);
    expect(gateway.status().turns).toEqual({ disconnected: 1 });
  });

  it.each<[string, object, string]>([
    ["no messages", { messages: [] }, "messages"],
    [
      "an end that is not the user's",
      { messages: [{ role: "assistant", content: "x" }] },
      "messages",
    ],
    ["an unknown role", { messages: [{ role: "tool", content: "x" }] }, "messages.0.role"],
    [
      "a picture",
      { messages: [{ role: "user", content: [{ type: "image_url", image_url: {} }] }] },
      "messages.0.content.0.type",
    ],
    ["tools", { tools: [{ type: "function", function: { name: "f" } }] }, "tools"],
    ["two replies", { n: 2 }, "n"],
    ["JSON", { response_format: { type: "json_object" } }, "response_format"],
  ])("refuses %s and names the field", async (_, fields, param) => {
    const response = await ask(fields);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { type: "invalid_request_error", param },
    });
  });
});
