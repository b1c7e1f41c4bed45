import { Code, type ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GeminiEmulator, startGeminiEmulator } from "../emulators/gemini.ts";
import { type GeminiLiveEmulator, startGeminiLiveEmulator } from "../emulators/gemini-live.ts";
import { type OpenaiEmulator, startOpenaiEmulator } from "../emulators/openai.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { createApp } from "../server/app.ts";
import { readConfig } from "../server/config/config.ts";
import { readImageHeader } from "../server/core/images/image.ts";
import type { LanguageModel } from "../server/models/language-model.ts";
import { createGeminiModel } from "../server/providers/gemini/gemini.ts";
import { createGeminiLiveModel } from "../server/providers/gemini-live/gemini-live.ts";
import { createLangchainModel } from "../server/providers/langchain/langchain.ts";
import type { LogFields } from "../server/telemetry/logger.ts";
import { startGateway } from "./support/gateway.ts";
import { createPicture, imageTypes, toBase64 } from "./support/pictures.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";
import { createSpellingVoice } from "./support/spelling-voice.ts";

const key = "AIzaNotARealKey";

/** A picture as it arrived at a vendor. */
type Arrived = { readonly mimeType: string; readonly data: string } | undefined;

/** A PNG whose header is right and whose pixels are not. */
function brokenPng(): Buffer {
  return Buffer.from(createPicture("image/png").bytes).fill(0xff, 45, 60);
}

/** Runs a turn with the picture over gRPC. */
async function send(languageModel: LanguageModel, screenshot: string): Promise<void> {
  await using gateway = await startGateway({ languageModels: [languageModel] });
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));
  const ask = { prompt: "What is this?", hardwareId: "device", screenshot };
  const steps = await Array.fromAsync(client.streamAudio(ask));
  expect(steps.at(-1)?.content).toEqual({ case: "endMessage", value: "done" });
}

describe("a screenshot", () => {
  let gemini: GeminiEmulator;
  let live: GeminiLiveEmulator;
  let openai: OpenaiEmulator;
  beforeAll(async () => {
    [gemini, live, openai] = await Promise.all([
      startGeminiEmulator(),
      startGeminiLiveEmulator(),
      startOpenaiEmulator(),
    ]);
    for (const emulator of [gemini, live, openai]) emulator.play({ deltas: ["A screen."] });
  });
  afterAll(() => Promise.all([gemini, live, openai].map((emulator) => emulator.stop())));

  const inlineOf = (parts: readonly { inlineData?: Arrived }[] = []): Arrived =>
    parts.find(({ inlineData }) => inlineData)?.inlineData;
  const askOpenai = () => {
    const content = openai.requests.at(-1)?.body.messages.at(-1)?.content;
    const part = Array.isArray(content)
      ? content.find(({ type }) => type === "image_url")
      : undefined;
    const [, mimeType = "", data = ""] = /^data:(.*);base64,(.*)$/.exec(part?.image_url?.url) ?? [];
    return { mimeType, data };
  };

  describe.each(imageTypes)("in %s", (mimeType) => {
    const picture = createPicture(mimeType, 40, 30);
    const data = toBase64(picture);

    it("arrives at Gemini over HTTP as it came", async () => {
      await send(createGeminiModel({ apiKey: key, baseUrl: gemini.url, model: "emulated" }), data);
      const arrived = inlineOf(gemini.requests.at(-1)?.body.contents?.at(-1)?.parts);
      expect(arrived).toEqual({ mimeType, data });
    });

    it("arrives at an OpenAI model by LangChain as it came", async () => {
      const openaiBaseUrl = `${openai.url}/v1`;
      await send(
        createLangchainModel({ model: "openai:emulated", openaiApiKey: key, openaiBaseUrl }),
        data,
      );
      expect(askOpenai()).toEqual({ mimeType, data });
    });

    it("arrives at a Google model by LangChain as it came", async () => {
      const model = "google:gemini-emulated";
      await send(
        createLangchainModel({ model, googleApiKey: key, googleEndpoint: gemini.url }),
        data,
      );
      const arrived = inlineOf(gemini.requests.at(-1)?.body.contents?.at(-1)?.parts);
      expect(arrived).toEqual({ mimeType, data });
    });

    it.each([
      ["in a message", "emulated"],
      ["in real time", "gemini-3.1-flash-live-preview"],
    ])("arrives at Gemini Live as JPEG, %s", async (_, model) => {
      const access = { apiKey: key, baseUrl: live.url, warmConnections: 0 };
      await send(createGeminiLiveModel({ ...access, model }), data);
      const asked = live.requests.at(-1);
      const arrived = asked?.picture ?? inlineOf(asked?.contents.at(-1)?.parts);
      expect(arrived?.mimeType).toBe("image/jpeg");
      expect(readImageHeader(Buffer.from(arrived?.data ?? "", "base64"), "sent")).toEqual({
        mimeType: "image/jpeg",
        width: 40,
        height: 30,
      });
      if (mimeType === "image/jpeg") expect(arrived?.data).toBe(data);
    });
  });

  it("that cannot be decoded is left out, and the turn goes on", async () => {
    const dropped: unknown[] = [];
    const languageModel = createGeminiLiveModel({
      apiKey: key,
      baseUrl: live.url,
      model: "emulated",
      warmConnections: 0,
      onScreenshotDropped: (error) => dropped.push(error),
    });
    await send(languageModel, brokenPng().toString("base64"));
    expect(dropped).toHaveLength(1);
    expect(live.requests.at(-1)?.contents.at(-1)?.parts).toEqual([{ text: "What is this?" }]);
  });

  it("that was left out is told in the log, without a word of it", async () => {
    const lines: { fields: LogFields; message: string }[] = [];
    const warn = (fields: LogFields, message: string) => lines.push({ fields, message });
    const nothing = () => undefined;
    const env = { TEXT_TIERS: "gemini-live", GEMINI_API_KEY: key, GEMINI_BASE_URL: live.url };
    const base = { GRPC_PORT: "0", HTTP_PORT: "0", STORAGE_ENABLED: "false" };
    const app = createApp(readConfig({ ...env, ...base }), {
      synthesizers: [createSpellingVoice()],
      logger: { debug: nothing, info: nothing, error: nothing, warn },
    });
    try {
      const { grpc } = await app.start();
      const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpc.port}` });
      const screenshot = brokenPng().toString("base64");
      const ask = { prompt: "What is this?", hardwareId: "device", screenshot };
      await Array.fromAsync(createClient(StreamingService, transport).streamAudio(ask));
    } finally {
      await app.stop();
    }
    expect(lines).toEqual([
      {
        fields: { tier: "gemini-live", error: expect.stringContaining("Decode image failed") },
        message: "screenshot left out: no conversion to JPEG",
      },
    ]);
  });

  it.each([
    ["a GIF", Buffer.from("GIF89a............"), "must be a JPEG, PNG or WebP image"],
    ["half a JPEG", createPicture("image/jpeg").bytes.subarray(0, 300), "whole, still JPEG"],
    ["half a PNG", createPicture("image/png").bytes.subarray(0, 60), "whole, still PNG"],
    ["half a WebP", createPicture("image/webp").bytes.subarray(0, 40), "whole, still WebP"],
    ["too many pixels", createPicture("image/png", 32_769, 1).bytes, "32768 pixels a side"],
    ["more than 8 MiB", Buffer.alloc(8 * 1024 * 1024 + 1), "at most 8388608 bytes decoded"],
  ])("of %s is refused with the field and the rule", async (_, bytes, rule) => {
    const languageModel = createScriptedLanguageModel(["Fine."]);
    const screenshot = Buffer.from(bytes).toString("base64");
    const error = await send(languageModel, screenshot).catch((thrown: ConnectError) => thrown);
    expect(error).toMatchObject({ code: Code.InvalidArgument });
    expect((error as ConnectError).rawMessage).toMatch(/^screenshot must be /);
    expect((error as ConnectError).rawMessage).toContain(rule);
    expect(languageModel.prompts).toEqual([]);
  });
});
