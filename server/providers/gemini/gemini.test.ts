import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type GeminiEmulator, startGeminiEmulator } from "../../../emulators/gemini.ts";
import { languageModelSuite } from "../../../test/contracts/language-model-suite.ts";
import { ProviderError } from "../../core/errors.ts";
import type { CallFacts } from "../../core/outcomes.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../../models/language-model.ts";
import { createGeminiModel, type GeminiOptions } from "./gemini.ts";

const apiKey = "AIzaNotARealKey";

languageModelSuite(
  "gemini",
  async () => {
    const emulator = await startGeminiEmulator();
    return { ...emulator, languageModel: createModel(emulator) };
  },
  { secrets: [apiKey, "emulated-model"], emptyIsError: true },
);

describe("createGeminiModel", () => {
  let emulator: GeminiEmulator;
  beforeAll(async () => {
    emulator = await startGeminiEmulator();
  });
  afterAll(() => emulator.stop());
  const asked = () => emulator.requests.at(-1);
  const ask = (prompt: Prompt, options: Partial<GeminiOptions> = {}) =>
    read(createModel(emulator, options), prompt);

  it("sends the model name, the key and nothing but the prompt", async () => {
    emulator.play({ deltas: ["Hi"] });
    await ask({ text: "Hello" });
    expect(asked()).toEqual({
      apiKey,
      model: "emulated-model",
      body: { contents: [{ role: "user", parts: [{ text: "Hello" }] }], generationConfig: {} },
    });
  });

  it("opens its connection when it prepares, and sends no request", async () => {
    // One without connections.
    const fresh = await startGeminiEmulator();
    const languageModel = createModel(fresh);
    await languageModel.prepare?.({ deviceId: "a" }, new AbortController().signal);
    expect(fresh.requests).toEqual([]);
    // A new connection would take longer than the test may.
    fresh.play({ deltas: ["Hi"], connectMs: 60_000 });
    expect(await read(languageModel, { text: "Hello" })).toBe("Hi");
    await fresh.stop();
  });

  it("stops preparing when the signal fires, and rejects if the service is unreachable", async () => {
    const languageModel = createGeminiModel({ apiKey, model: "m", baseUrl: "http://127.0.0.1:1" });
    const { signal } = new AbortController();
    await expect(languageModel.prepare?.({}, signal)).rejects.toThrow();
    await expect(
      languageModel.prepare?.({}, AbortSignal.abort(new Error("left"))),
    ).rejects.toThrow();
  });

  it("sends the system prompt as the instruction, and the search tool", async () => {
    emulator.play({ deltas: ["Hi"] });
    await ask({ text: "Hello" }, { systemPrompt: "Be brief.", search: true });
    const body = asked()?.body;
    expect(body?.systemInstruction?.parts?.[0]?.text).toBe("Be brief.");
    expect(body?.tools).toEqual([{ googleSearch: {} }]);
  });

  it("sends the client's instructions in place of the system prompt", async () => {
    emulator.play({ deltas: ["Hi"] });
    const prompt = { text: "Hello", instructions: "Be long." };
    await ask(prompt, { systemPrompt: "Be brief." });
    expect(asked()?.body.systemInstruction?.parts?.[0]?.text).toBe("Be long.");
  });

  it("sends earlier turns as messages, without blank ones", async () => {
    emulator.play({ deltas: ["Hi"] });
    const history = [
      { user: "One?", assistant: "1" },
      { user: "Two?", assistant: " " },
    ];
    await ask({ text: "Three?", history });
    const said = asked()?.body.contents?.map(({ role, parts }) => `${role}: ${parts?.[0]?.text}`);
    expect(said).toEqual(["user: One?", "model: 1", "user: Two?", "user: Three?"]);
  });

  it("sends the screenshot before the text, with the sizes", async () => {
    emulator.play({ deltas: ["Hi"] });
    const bytes = new Uint8Array([82, 73, 70, 70, 255]);
    const screenshot = { bytes, mimeType: "image/webp", width: 768, height: 480 } as const;
    await ask({ text: "What is this?", screenshot, screen: { width: 1440, height: 900 } });
    const parts = asked()?.body.contents?.[0]?.parts ?? [];
    expect(parts[0]).toEqual({ inlineData: { mimeType: "image/webp", data: "UklGRv8=" } });
    expect(parts[1]?.text).toMatch(/1440 x 900.*768 x 480/);
    expect(parts[2]?.text).toBe("What is this?");
  });

  it("sends what is remembered beside the text, and not as an instruction", async () => {
    emulator.play({ deltas: ["Hi"] });
    await ask({ text: "Hello", memory: "It is known." }, { systemPrompt: "Be brief." });
    expect(asked()?.body.contents?.at(-1)?.parts).toEqual([
      { text: "It is known." },
      { text: "Hello" },
    ]);
    expect(asked()?.body.systemInstruction?.parts).toEqual([{ text: "Be brief." }]);
  });

  it("asks to continue from the prefix, and drops what the model repeats of it", async () => {
    emulator.play({ deltas: ["The cat", " sat", " on the mat."] });
    expect(await ask({ text: "Tell", prefix: "The cat sat" })).toBe(" on the mat.");
    const contents = asked()?.body.contents ?? [];
    expect(contents.map(({ role }) => role)).toEqual(["user", "model", "user"]);
    expect(contents[1]?.parts).toEqual([{ text: "The cat sat" }]);
  });

  it("tells the tokens that the vendor counted last, and why the reply ended", async () => {
    const chunk = (text: string, tokens: number, more = {}) => ({
      candidates: [{ content: { parts: [{ text }] }, ...more }],
      usageMetadata: { promptTokenCount: 7, candidatesTokenCount: tokens },
    });
    emulator.playEvents([chunk("One", 1), chunk(" two", 5, { finishReason: "STOP" })]);
    const facts: CallFacts[] = [];
    await ask({ text: "Count", onFacts: (told) => facts.push(told) });
    expect(facts).toEqual([{ inputTokens: 7, outputTokens: 5, finishReason: "STOP" }]);
  });

  it("leaves out thoughts, and writes nothing to the console about other parts", async () => {
    const warn = vi.spyOn(console, "warn");
    const parts = [{ text: "hm", thought: true }, { executableCode: {} }, { text: "Yes" }];
    emulator.playEvents([{ candidates: [{ content: { parts }, finishReason: "STOP" }] }]);
    expect(await ask({ text: "Well?" })).toBe("Yes");
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it.each([
    ["a stop of the model's", { candidates: [{ finishReason: "SAFETY" }] }, "withheld"],
    ["a blocked prompt", { promptFeedback: { blockReason: "OTHER" } }, "withheld"],
    ["a broken model", { candidates: [{ finishReason: "OTHER" }] }, "server"],
    ["no end", { candidates: [{ content: { parts: [{ text: "x" }] } }] }, "protocol"],
    ["no words", { candidates: [{ finishReason: "STOP" }] }, "protocol"],
    ["a busy model", { error: { code: 503, status: "UNAVAILABLE", message: "x" } }, "server"],
  ])("says what is wrong: %s", async (_, event, fault) => {
    emulator.playEvents([event]);
    const error = await ask({ text: "Well?" }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ProviderError);
    expect(error).toMatchObject({ kind: fault });
  });

  it("takes the key that it is given, whatever the environment holds, and says nothing", async () => {
    const warn = vi.spyOn(console, "warn");
    vi.stubEnv("GOOGLE_API_KEY", "another");
    vi.stubEnv("GEMINI_API_KEY", "a third");
    vi.stubEnv("GOOGLE_GENAI_USE_VERTEXAI", "true");
    vi.stubEnv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1");
    emulator.play({ deltas: ["Hi"] });
    expect(await ask({ text: "Hello" })).toBe("Hi");
    expect(asked()?.apiKey).toBe(apiKey);
    expect(warn).not.toHaveBeenCalled();
    vi.unstubAllEnvs();
    warn.mockRestore();
  });

  it("sends one request, whatever the response", async () => {
    const before = emulator.requests.length;
    emulator.play({ fault: { kind: "html-500" } });
    await ask({ text: "Well?" }).catch(() => undefined);
    expect(emulator.requests.length).toBe(before + 1);
  });
});

function createModel({ url }: GeminiEmulator, options: Partial<GeminiOptions> = {}): LanguageModel {
  return createGeminiModel({ apiKey, baseUrl: url, model: "emulated-model", ...options });
}

async function read(languageModel: LanguageModel, prompt: Prompt): Promise<string> {
  const parts = await Array.fromAsync(languageModel.generate(prompt, new AbortController().signal));
  return parts.map((part: ReplyPart) => (part.type === "audio" ? "" : part.text)).join("");
}
