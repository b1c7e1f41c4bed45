import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GeminiEmulator, startGeminiEmulator } from "../../emulators/gemini.ts";
import { type OpenaiEmulator, startOpenaiEmulator } from "../../emulators/openai.ts";
import { createLangchainModel } from "../../server/providers/langchain/langchain.ts";
import { loadChatModel } from "../../server/providers/langchain/models.ts";
import { languageModelSuite } from "../contracts/language-model-suite.ts";
import { createPicture, toBase64 } from "../support/pictures.ts";

const key = "sk-secret-0123456789";
const picture = createPicture("image/webp");
const never = new AbortController().signal;

languageModelSuite(
  "langchain on an OpenAI-compatible server",
  async () => {
    const emulator = await startOpenaiEmulator();
    const languageModel = createLangchainModel({
      model: "openai:emulated",
      openaiApiKey: key,
      openaiBaseUrl: `${emulator.url}/v1`,
    });
    return { languageModel, ...emulator };
  },
  { secrets: [key] },
);

languageModelSuite(
  "langchain on Gemini",
  async () => {
    const emulator = await startGeminiEmulator();
    const languageModel = createLangchainModel({
      model: "google:gemini-emulated",
      googleApiKey: key,
      googleEndpoint: emulator.url,
    });
    return { languageModel, ...emulator };
  },
  { secrets: [key] },
);

describe("createLangchainModel on Gemini", () => {
  let emulator: GeminiEmulator;
  beforeAll(async () => {
    emulator = await startGeminiEmulator();
  });
  afterAll(() => emulator.stop());

  async function open() {
    const languageModel = createLangchainModel({
      model: "google:gemini-emulated",
      googleApiKey: key,
      googleEndpoint: emulator.url,
      systemPrompt: "Be brief.",
    });
    await languageModel.start?.(never);
    return languageModel;
  }

  it("sends the key, the system prompt, history and screenshot", async () => {
    emulator.play({ deltas: ["Yes."] });
    const prompt = {
      text: "What is this?",
      history: [{ user: "Hello", assistant: "Hi!" }],
      screenshot: picture,
    };
    await Array.fromAsync((await open()).generate(prompt, never));
    const request = emulator.requests.at(-1);
    expect([request?.apiKey, request?.model]).toEqual([key, "gemini-emulated"]);
    expect(request?.body.systemInstruction?.parts).toMatchObject([{ text: "Be brief." }]);
    expect(request?.body.contents).toMatchObject([
      { role: "user", parts: [{ text: "Hello" }] },
      { role: "model", parts: [{ text: "Hi!" }] },
      {
        role: "user",
        parts: [
          { text: "What is this?" },
          { inlineData: { mimeType: "image/webp", data: toBase64(picture) } },
        ],
      },
    ]);
  });

  it("reports a reply that a policy withholds as unsupported", async () => {
    const content = { role: "model", parts: [{ text: "Well" }] };
    emulator.playEvents([{ candidates: [{ content, finishReason: "SAFETY" }] }]);
    const read = Array.fromAsync((await open()).generate({ text: "Hi" }, never));
    await expect(read).rejects.toMatchObject({ kind: "withheld" });
  });

  it("does not mistake an error in the middle of a reply for its end", async () => {
    const languageModel = await open();
    for (const kind of ["rate-limit", "malformed"] as const) {
      emulator.play({ deltas: ["One", " two", " three"], fault: { kind, afterParts: 2 } });
      const read = Array.fromAsync(languageModel.generate({ text: "Count" }, never));
      await expect(read).rejects.toMatchObject({ kind: "protocol" });
    }
  });
});

describe("createLangchainModel", () => {
  let emulator: OpenaiEmulator;
  beforeAll(async () => {
    emulator = await startOpenaiEmulator();
  });
  afterAll(() => emulator.stop());

  /** Starts a language model against the emulator. */
  async function open(model = "openai:a:b", systemPrompt?: string) {
    const languageModel = createLangchainModel({
      model,
      openaiApiKey: key,
      openaiBaseUrl: `${emulator.url}/v1`,
      ...(systemPrompt !== undefined && { systemPrompt }),
    });
    await languageModel.start?.(never);
    emulator.play({});
    return languageModel;
  }

  const lastRequest = () => emulator.requests.at(-1);

  it("sends only the prompt if there is nothing else", async () => {
    await Array.fromAsync((await open()).generate({ text: "Hi" }, never));
    expect(lastRequest()?.key).toBe(key);
    expect(lastRequest()?.body).toEqual({
      model: "a:b",
      stream: true,
      messages: [{ role: "user", content: "Hi" }],
    });
  });

  it("sends the client's instructions in place of the system prompt", async () => {
    const languageModel = await open("openai:emulated", "Be brief.");
    const prompt = { text: "Hi", instructions: "Be long." };
    await Array.fromAsync(languageModel.generate(prompt, never));
    expect(lastRequest()?.body.messages[0]).toEqual({ role: "system", content: "Be long." });
  });

  it("sends the system prompt, history, screen and screenshot", async () => {
    const languageModel = await open("openai:emulated", "Be brief.");
    const prompt = {
      text: "What is this?",
      history: [
        { user: "Hello", assistant: "Hi!" },
        { user: "Well?", assistant: " " },
      ],
      screen: { width: 2_560, height: 1_440 },
      screenshot: picture,
    };
    await Array.fromAsync(languageModel.generate(prompt, never));
    const [system, ...rest] = lastRequest()?.body.messages ?? [];
    expect(system?.role).toBe("system");
    expect(system?.content).toMatch(/^Be brief\.\n\n.*2560 by 1440/);
    expect(rest).toEqual([
      { role: "user", content: "Hello" },
      { role: "assistant", content: "Hi!" },
      { role: "user", content: "Well?" },
      {
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url: `data:image/webp;base64,${toBase64(picture)}` } },
        ],
      },
    ]);
  });

  it("sends what is remembered before the words, and not in the system prompt", async () => {
    const languageModel = await open("openai:emulated", "Be brief.");
    const prompt = { text: "Hello", memory: "It is known." };
    await Array.fromAsync(languageModel.generate(prompt, never));
    expect(lastRequest()?.body.messages).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "It is known.\n\nHello" },
    ]);
  });

  it("asks to continue from the prefix, and drops what the model repeats of it", async () => {
    const languageModel = await open();
    emulator.play({ deltas: ["Once ", "upon", " a", " time."] });
    const parts = languageModel.generate({ text: "A tale", prefix: "Once upon" }, never);
    expect(await Array.fromAsync(parts)).toEqual([
      { type: "text", text: " a" },
      { type: "text", text: " time." },
    ]);
    const [asked, said, goOn] = lastRequest()?.body.messages ?? [];
    expect([asked?.content, said]).toEqual(["A tale", { role: "assistant", content: "Once upon" }]);
    expect(goOn).toMatchObject({ role: "user", content: expect.stringContaining("exactly") });
  });

  it("sends one request, whatever the response", async () => {
    const languageModel = await open();
    for (const kind of ["refuse", "rate-limit", "html-500", "cut", "malformed"] as const) {
      emulator.play({ fault: { kind, retryAfterSeconds: 0 } });
      const before = emulator.requests.length;
      await expect(
        Array.fromAsync(languageModel.generate({ text: "Hi" }, never)),
      ).rejects.toThrow();
      expect(emulator.requests.length, kind).toBe(before + 1);
    }
  });

  it("reads an error that comes in the middle of a reply", async () => {
    const languageModel = await open();
    emulator.play({ partMs: 5, fault: { kind: "rate-limit", afterParts: 2 } });
    await expect(
      Array.fromAsync(languageModel.generate({ text: "Hi" }, never)),
    ).rejects.toMatchObject({
      kind: "rate_limit",
    });
  });

  it("reuses connections", async () => {
    const languageModel = await open();
    const before = emulator.connections();
    for (let turn = 0; turn < 10; turn++) {
      await Array.fromAsync(languageModel.generate({ text: "Hi" }, never));
    }
    expect(emulator.connections() - before).toBeLessThan(4);
  });

  it("works without a key on a server that needs none", async () => {
    const languageModel = createLangchainModel({
      model: "openai:emulated",
      openaiBaseUrl: `${emulator.url}/v1`,
    });
    await languageModel.start?.(never);
    emulator.play({});
    expect(await Array.fromAsync(languageModel.generate({ text: "Hi" }, never))).not.toEqual([]);
  });

  it("reports an unreachable server", async () => {
    const gone = await startOpenaiEmulator();
    await gone.stop();
    const languageModel = createLangchainModel({
      model: "openai:emulated",
      openaiBaseUrl: `${gone.url}/v1`,
    });
    await languageModel.start?.(never);
    await expect(
      Array.fromAsync(languageModel.generate({ text: "Hi" }, never)),
    ).rejects.toMatchObject({
      kind: "connectivity",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("writes nothing to the console", async () => {
    const written: unknown[] = [];
    const { error, warn, log } = console;
    const note = (...words: unknown[]) => void written.push(words);
    Object.assign(console, { error: note, warn: note, log: note });
    try {
      const languageModel = await open();
      emulator.play({ fault: { kind: "malformed" } });
      await Array.fromAsync(languageModel.generate({ text: "Hi" }, never)).catch(() => undefined);
    } finally {
      Object.assign(console, { error, warn, log });
    }
    expect(written).toEqual([]);
  });
});

describe("startOpenaiEmulator", () => {
  it("lists its models, and answers 404 elsewhere", async () => {
    const emulator = await startOpenaiEmulator();
    const models = await fetch(`${emulator.url}/v1/models`);
    expect(await models.json()).toMatchObject({ object: "list", data: [{ object: "model" }] });
    expect((await fetch(`${emulator.url}/models`)).status).toBe(404);
    await emulator.stop();
    await expect(fetch(`${emulator.url}/v1/models`)).rejects.toThrow();
  });
});

describe("loadChatModel", () => {
  it("names the valid form of a model", async () => {
    for (const model of ["gpt-5", "azure:x", "openai:"]) {
      await expect(loadChatModel({ model })).rejects.toThrow("google:NAME or openai:NAME");
    }
  });

  it("says how to install a missing package", async () => {
    const missing = Object.assign(new Error("Cannot find package"), {
      code: "ERR_MODULE_NOT_FOUND",
    });
    const importPackage = () => Promise.reject(missing);
    await expect(loadChatModel({ model: "openai:x" }, importPackage)).rejects.toThrow(
      "npm i @langchain/openai @langchain/core",
    );
    await expect(loadChatModel({ model: "google:x" }, importPackage)).rejects.toThrow(
      "npm i @langchain/google @langchain/core",
    );
  });
});
