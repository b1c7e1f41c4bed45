import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GeminiLiveEmulator, startGeminiLiveEmulator } from "../emulators/gemini-live.ts";
import {
  StreamingService,
  type StreamResponse,
  StreamResponseSchema,
} from "../gen/streaming/streaming_pb.ts";
import type { LanguageModel } from "../server/models/language-model.ts";
import { createGeminiLiveModel } from "../server/providers/gemini-live/gemini-live.ts";
import { startGateway } from "./support/gateway.ts";
import { playNatively, stutterOf } from "./support/native-player.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";

/** A message of text, or of so many samples. */
function message(content: string | number): StreamResponse {
  return create(StreamResponseSchema, {
    content:
      typeof content === "string"
        ? { case: "textChunk", value: content }
        : { case: "audioChunk", value: { audioData: new Uint8Array(2 * content) } },
  });
}

const end = create(StreamResponseSchema, { content: { case: "endMessage", value: "done" } });

describe("playNatively", () => {
  // What the deployed client was seen to do with 7.4 s in three sentences.
  const reply = (samples: number) =>
    [30, 30, 14].flatMap((chunks) => [message("So."), ...Array(chunks).fill(message(samples))]);

  it("fills 6.7 ms behind every chunk of 100 ms, and nothing behind those of 96 ms", () => {
    const playback = playNatively(reply(4800));
    expect(playback.gaps).toHaveLength(74);
    expect(playback.gaps[0]).toEqual({ chunk: 0, missing: 320 });
    expect(stutterOf(playback)).toHaveLength(71);
    expect(playNatively(reply(4608)).gaps).toEqual([]);
  });

  it("allows a gap at the end of a sentence alone", () => {
    const playback = playNatively(["One.", 512, 100, "Two.", 100, 512, 7].map(message));
    expect(playback).toMatchObject({ chunks: 5, sentenceEnds: [1, 4] });
    expect(stutterOf(playback)).toEqual([{ chunk: 2, missing: 412 }]);
  });

  it.each([
    ["the end message", end],
    ["an empty text chunk", message("")],
    ["an audio chunk without bytes", message(0)],
  ])("takes %s for the end", (_, last) => {
    const playback = playNatively([message("One."), message(512), last, message(512)]);
    expect(playback).toEqual({ chunks: 1, gaps: [], sentenceEnds: [0], finished: true });
  });
});

/** What a gateway with this model and chunk length sends over gRPC. */
async function hear(
  languageModel: LanguageModel,
  chunkMs?: number,
): Promise<readonly StreamResponse[]> {
  const env = chunkMs === undefined ? {} : { AUDIO_CHUNK_MS: String(chunkMs) };
  await using gateway = await startGateway({ languageModels: [languageModel], env });
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));
  return await Array.fromAsync(client.streamAudio({ prompt: "hi", hardwareId: "device" }));
}

describe("AUDIO_CHUNK_MS", () => {
  const reply = ["The first sentence is here. ", "So is the second one. ", "Then comes the third."];

  it.each([undefined, 32, 96, 100, 333, 1000])(
    "at %s ms leaves no gap but at the ends of three sentences",
    async (chunkMs) => {
      const playback = playNatively(await hear(createScriptedLanguageModel(reply), chunkMs));
      expect(playback).toMatchObject({ sentenceEnds: { length: 3 }, finished: true });
      expect(stutterOf(playback)).toEqual([]);
    },
  );

  it("is 96 ms if it is not set: 9,216 bytes", async () => {
    const [step] = (await hear(createScriptedLanguageModel(reply))).filter(
      ({ content }) => content.case === "audioChunk",
    );
    expect(step?.content.value).toMatchObject({ shape: [4608] });
    expect(step?.content.value).toHaveProperty("audioData.length", 9216);
  });

  it("is 3,072 bytes at 32 ms", async () => {
    const [step] = (await hear(createScriptedLanguageModel(reply), 32)).filter(
      ({ content }) => content.case === "audioChunk",
    );
    expect(step?.content.value).toHaveProperty("audioData.length", 3072);
  });

  describe("with a model that speaks by itself", () => {
    let emulator: GeminiLiveEmulator;
    beforeAll(async () => {
      emulator = await startGeminiLiveEmulator();
    });
    afterAll(() => emulator.stop());

    it.each([32, 96, 100])("at %s ms leaves no gap but at the end", async (chunkMs) => {
      emulator.play({ deltas: reply.join("").split(/(?= )/) });
      const options = { apiKey: "AIzaNotARealKey", baseUrl: emulator.url, model: "emulated" };
      const steps = await hear(createGeminiLiveModel({ ...options, warmConnections: 0 }), chunkMs);
      const { chunks, gaps } = playNatively(steps);
      expect(chunks).toBeGreaterThan(3);
      expect(gaps.every(({ chunk }) => chunk === chunks - 1)).toBe(true);
    });
  });
});
