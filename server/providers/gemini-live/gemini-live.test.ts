import { createServer, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  type GeminiLiveEmulator,
  startGeminiLiveEmulator,
} from "../../../emulators/gemini-live.ts";
import { decodeSpoken, spokenDelta } from "../../../emulators/gemini-live-wire.ts";
import { languageModelSuite } from "../../../test/contracts/language-model-suite.ts";
import { createPicture, imageTypes } from "../../../test/support/pictures.ts";
import { readImageHeader } from "../../core/images/image.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../../models/language-model.ts";
import { createGeminiLiveModel, type GeminiLiveOptions } from "./gemini-live.ts";
import { createJpegConverter } from "./jpeg-converter.ts";

const apiKey = "AIzaNotARealKey";

const jpeg = { bytes: new Uint8Array([0xff, 0xd8, 0xff]), mimeType: "image/jpeg" } as const;

languageModelSuite(
  "gemini-live",
  async () => {
    const emulator = await startGeminiLiveEmulator();
    const languageModel = createGeminiLiveModel({
      apiKey,
      baseUrl: emulator.url,
      model: "emulated",
    });
    return { ...emulator, languageModel };
  },
  // A warm connection that was open before the limit was reached is closed, and a close has no header.
  { secrets: [apiKey], emptyIsError: true, withoutRetryAfter: true },
);

describe("createGeminiLiveModel", () => {
  let emulator: GeminiLiveEmulator;
  const languageModels: LanguageModel[] = [];
  beforeAll(async () => {
    emulator = await startGeminiLiveEmulator();
  });
  afterEach(async () => {
    for (const languageModel of languageModels.splice(0)) await languageModel.stop?.();
  });
  afterAll(() => emulator.stop());

  const asked = () => emulator.requests.at(-1);
  const ask = (prompt: Prompt, options: Partial<GeminiLiveOptions> = {}) => {
    const access = { apiKey, baseUrl: emulator.url, model: "emulated", warmConnections: 0 };
    const languageModel = createGeminiLiveModel({ ...access, ...options });
    languageModels.push(languageModel);
    return Array.fromAsync(languageModel.generate(prompt, new AbortController().signal));
  };

  it("yields the transcript, and the audio at the rate that the message states", async () => {
    emulator.play({ deltas: ["Hello", " you."] });
    const parts = await ask({ text: "Hi" });
    expect(parts.map(({ type }) => type)).toEqual(["transcript", "audio", "transcript", "audio"]);
    expect(wordsOf(parts)).toBe("Hello you.");
    expect(decodeSpoken(audioOf(parts).map(({ pcm }) => pcm))).toBe("Hello you.");
    expect(audioOf(parts).map(({ sampleRateHz }) => sampleRateHz)).toEqual([24_000, 24_000]);
  });

  const pcm = Int16Array.from({ length: 9000 }, (_, at) => at);
  const spoken = { pcm, sampleRateHz: 16_000 } as const;
  const speechOf = (pieces: readonly { readonly data: string }[] = []) =>
    Buffer.concat(pieces.map(({ data }) => Buffer.from(data, "base64")));

  it.each(["emulated", "gemini-3.1-flash-live-preview"])(
    "sends speech as it stands, behind what goes with it, and tells what is heard (%s)",
    async (model) => {
      emulator.play({ deltas: ["Hello"] });
      emulator.behave({ hears: ["Good", " day."] });
      const history = [{ user: "Before?", assistant: "Before." }];
      const parts = await ask({ text: "", audio: spoken, history, memory: "A fact." }, { model });
      emulator.behave({});
      expect(parts.map(({ type }) => type)).toEqual(["heard", "heard", "transcript", "audio"]);
      expect(parts.slice(0, 2)).toEqual([
        { type: "heard", text: "Good" },
        { type: "heard", text: " day." },
      ]);
      const { speech, contents } = asked() ?? {};
      expect(new Set(speech?.map(({ mimeType }) => mimeType))).toEqual(
        new Set(["audio/pcm;rate=16000"]),
      );
      expect(speechOf(speech).equals(Buffer.from(pcm.buffer))).toBe(true);
      const beside = JSON.stringify(contents);
      expect(beside).toContain("Before?");
      expect(beside).toContain("A fact.");
      expect(beside).not.toContain('""');
    },
  );

  it("takes another rate from the message", async () => {
    emulator.play({ deltas: ["Hello"], fault: { kind: "wrong-rate" } });
    expect(audioOf(await ask({ text: "Hi" }))[0]?.sampleRateHz).toBe(16_000);
  });

  it("fails when the rate changes within a reply", async () => {
    emulator.playMessages([...spokenDelta("one", 24_000), ...spokenDelta("two", 16_000)]);
    await expect(ask({ text: "Hi" })).rejects.toMatchObject({ kind: "protocol" });
  });

  it("sets the connection up for audio, its transcript and a resumable session", async () => {
    emulator.play({ deltas: ["Hi"] });
    await ask({ text: "Hello" }, { systemPrompt: "Be brief.", search: true, voice: "Puck" });
    expect(asked()?.apiKey).toBe(apiKey);
    expect(asked()?.setup).toMatchObject({
      model: "models/emulated",
      generationConfig: {
        responseModalities: ["AUDIO"],
        speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: "Puck" } } },
      },
      systemInstruction: { parts: [{ text: "Be brief." }] },
      tools: [{ googleSearch: {} }],
      sessionResumption: {},
      outputAudioTranscription: {},
    });
  });

  it("sends the client's instructions before the text", async () => {
    emulator.play({ deltas: ["Hi"] });
    await ask({ text: "Hello", instructions: "Be long." });
    expect(asked()?.contents.at(-1)?.parts?.at(-1)).toEqual({ text: "Be long.\n\nHello" });
  });

  it("sends the history, the screenshot and the text in one message", async () => {
    emulator.play({ deltas: ["Hi"] });
    await ask({
      text: "Three?",
      history: [{ user: "One?", assistant: "1" }],
      screenshot: { ...jpeg, width: 768, height: 480 },
    });
    const [first, reply, now] = asked()?.contents ?? [];
    expect(first).toEqual({ role: "user", parts: [{ text: "One?" }] });
    expect(reply).toEqual({ role: "model", parts: [{ text: "1" }] });
    expect(now?.parts?.[0]).toEqual({ inlineData: { mimeType: "image/jpeg", data: "/9j/" } });
    expect(now?.parts?.at(-1)).toEqual({ text: "Three?" });
  });

  it("sends realtime text to a model that accepts nothing else", async () => {
    emulator.play({ deltas: ["Hi"] });
    const screenshot = { ...jpeg, width: 768, height: 480 };
    const history = [{ user: "One?", assistant: "1" }];
    const model = "gemini-3.1-flash-live-preview";
    const memory = "It is known.";
    expect(wordsOf(await ask({ text: "Two?", memory, screenshot, history }, { model }))).toBe("Hi");
    expect(asked()?.picture).toEqual({ mimeType: "image/jpeg", data: "/9j/" });
    expect(asked()?.text).toMatch(/User: One\?\nYou: 1\n\nIt is known\.\n(.|\n)*Two\?$/);
  });

  it.each(imageTypes)("sends %s as JPEG, at the same size", async (mimeType) => {
    emulator.play({ deltas: ["Hi"] });
    await ask({ text: "What is this?", screenshot: createPicture(mimeType, 40, 30) });
    const [picture, note] = asked()?.contents[0]?.parts ?? [];
    expect(picture?.inlineData?.mimeType).toBe("image/jpeg");
    const sent = Buffer.from(picture?.inlineData?.data ?? "", "base64");
    expect(readImageHeader(sent, "sent")).toEqual({
      mimeType: "image/jpeg",
      width: 40,
      height: 30,
    });
    expect(note?.text).toContain("40 x 30 pixels");
  });

  it("continues without a screenshot that cannot be converted, and reports why", async () => {
    emulator.play({ deltas: ["Hi"] });
    const missing = new Error("Cannot find native binding");
    const toJpeg = createJpegConverter(() => Promise.reject(missing));
    const reported: unknown[] = [];
    const onScreenshotDropped = (error: unknown) => reported.push(error);
    const screenshot = createPicture("image/png");
    const reply = await ask({ text: "Well?", screenshot }, { toJpeg, onScreenshotDropped });
    expect(wordsOf(reply)).toBe("Hi");
    expect(reported).toEqual([missing]);
    expect(asked()?.contents[0]?.parts).toEqual([{ text: "Well?" }]);
  });

  it("leaves out thoughts, and text that is not spoken", async () => {
    const thought = { serverContent: { modelTurn: { parts: [{ text: "hm", thought: true }] } } };
    const written = { serverContent: { modelTurn: { parts: [{ text: "**Hi**" }] } } };
    const done = { serverContent: { turnComplete: true } };
    emulator.playMessages([thought, ...spokenDelta("Hi", 24_000), written, done]);
    expect(wordsOf(await ask({ text: "Hello" }))).toBe("Hi");
  });

  it.each([
    ["withheld", { turnComplete: true, turnCompleteReason: "RESPONSE_REJECTED" }, "withheld"],
    [
      "withheld, whatever the reason says",
      { turnComplete: true, turnCompleteReason: "no: 4711" },
      "withheld",
    ],
    [
      "malformed",
      { turnComplete: true, turnCompleteReason: "MALFORMED_FUNCTION_CALL" },
      "protocol",
    ],
    ["empty by mistake", { turnComplete: true }, "protocol"],
    ["empty and meant so", { turnComplete: true, generationComplete: true }, "empty"],
  ])("fails for a reply that is %s", async (_, serverContent, fault) => {
    emulator.playMessages([{ serverContent }]);
    const error = await ask({ text: "Hello" }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: fault });
    expect(String(error)).not.toContain("4711");
  });

  it("drops the words and the audio that repeat the prefix", async () => {
    emulator.play({ deltas: ["The cat", " sat", " on the mat."] });
    const parts = await ask({ text: "Tell", prefix: "The cat sat" });
    expect(wordsOf(parts)).toBe(" on the mat.");
    expect(decodeSpoken(audioOf(parts).map(({ pcm }) => pcm))).toBe(" on the mat.");
    expect(asked()?.contents.map(({ role }) => role)).toEqual(["user", "model", "user"]);
  });

  it("ends with the last word, before the server completes the turn", async () => {
    emulator.play({ deltas: ["Hi"] });
    emulator.behave({ lagMs: 60_000 });
    expect(wordsOf(await ask({ text: "Hello" }))).toBe("Hi");
    emulator.behave({});
  });

  it("ends with the last word of a long reply, though the service tells whether more follows", async () => {
    const long = "a".repeat(1_100);
    emulator.play({ deltas: [long] });
    emulator.behave({ lagMs: 60_000 });
    const begunMs = performance.now();
    expect(wordsOf(await ask({ text: "Hello" }))).toBe(long);
    expect(performance.now() - begunMs).toBeLessThan(4_000);
    emulator.behave({});
  });

  it("yields the answer behind the filler, not to the next question", async () => {
    emulator.behave({ filler: `${"m".repeat(79)} `, lagMs: 400, thinkMs: 700 });
    emulator.play({ deltas: ["Nine", " o'clock."] });
    const access = { apiKey, baseUrl: emulator.url, model: "emulated", warmConnections: 0 };
    const languageModel = createGeminiLiveModel(access);
    languageModels.push(languageModel);
    const answer = async (text: string) => {
      const { signal } = new AbortController();
      return wordsOf(
        await Array.fromAsync(languageModel.generate({ text, deviceId: "d" }, signal)),
      );
    };
    expect(await answer("What time is it?")).toMatch(/^m{79} Nine o'clock\.$/);
    emulator.behave({});
    emulator.play({ deltas: ["Blue."] });
    expect(await answer("And the sky?")).toBe("Blue.");
  });

  it("waits for a transcript that trails the sound", async () => {
    emulator.behave({ trailMs: 900 });
    const words = "A reply of some length, spoken in two seconds and a half. ".repeat(9);
    emulator.play({ deltas: [words] });
    const parts = await ask({ text: "Hello" });
    emulator.behave({});
    expect(parts.map(({ type }) => type)).toEqual(["audio", "transcript"]);
    expect(wordsOf(parts)).toBe(words);
  });

  it("waits no longer than its budget for a transcript that never comes", async () => {
    emulator.behave({ trailMs: 60_000 });
    emulator.play({ deltas: ["a".repeat(500)] });
    const begunMs = performance.now();
    const parts = await ask({ text: "Hello" }, { trailingMs: 600 });
    emulator.behave({});
    const lastedMs = performance.now() - begunMs;
    expect(parts.map(({ type }) => type)).toEqual(["audio"]);
    expect(lastedMs).toBeGreaterThan(500);
    expect(lastedMs).toBeLessThan(3_000);
  });

  it("takes no words for the next reply's that come too late for their own", async () => {
    const access = { apiKey, baseUrl: emulator.url, model: "emulated", warmConnections: 0 };
    const languageModel = createGeminiLiveModel({ ...access, trailingMs: 100 });
    languageModels.push(languageModel);
    const answer = async (text: string) => {
      const { signal } = new AbortController();
      return wordsOf(
        await Array.fromAsync(languageModel.generate({ text, deviceId: "d" }, signal)),
      );
    };
    emulator.behave({ trailMs: 400 });
    emulator.play({ deltas: ["a".repeat(500)] });
    expect(await answer("One")).toBe("");
    emulator.behave({});
    emulator.play({ deltas: ["Blue", "."], firstPartMs: 600 });
    expect(await answer("Two")).toBe("Blue.");
  });

  it("reports when a refused connection may be retried", async () => {
    emulator.play({ fault: { kind: "rate-limit", retryAfterSeconds: 7 } });
    const error = await ask({ text: "Hello" }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind: "rate_limit", retryAfterMs: 7_000 });
  });

  it("times out on a connection that is never ready, and closes it", async () => {
    const accepted: Socket[] = [];
    const silent = createServer((socket) => {
      accepted.push(socket.on("error", () => undefined).resume());
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const baseUrl = `http://127.0.0.1:${port}`;
    const reply = ask({ text: "Hello" }, { baseUrl, connectTimeoutMs: 30 });
    await expect(reply).rejects.toMatchObject({ kind: "timeout" });
    await expect.poll(() => accepted.map(({ closed }) => closed)).toEqual([true]);
    await new Promise((resolve) => silent.close(resolve));
  });
});

type AudioPart = Extract<ReplyPart, { type: "audio" }>;

function audioOf(parts: readonly ReplyPart[]): AudioPart[] {
  return parts.filter((part) => part.type === "audio");
}

function wordsOf(parts: readonly ReplyPart[]): string {
  return parts.map((part) => (part.type === "audio" ? "" : part.text)).join("");
}
