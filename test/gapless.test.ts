import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GeminiLiveEmulator, startGeminiLiveEmulator } from "../emulators/gemini-live.ts";
import { StreamingService, type StreamResponse } from "../gen/streaming/streaming_pb.ts";
import type { LanguageModel } from "../server/models/language-model.ts";
import { createGeminiLiveModel } from "../server/providers/gemini-live/gemini-live.ts";
import { startGateway } from "./support/gateway.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";

const BLOCK_SAMPLES = 512;

/**
 * The native client's player: it plays blocks of 512 samples, and drains a chunk before it takes the
 * next; what a chunk leaves over is filled with zeros. Answers the samples of each filled gap, by the
 * number of the chunk before it.
 */
function playBlocks(chunks: readonly number[]): readonly { after: number; missing: number }[] {
  return chunks.flatMap((samples, after) => {
    const over = samples % BLOCK_SAMPLES;
    return over === 0 ? [] : [{ after, missing: BLOCK_SAMPLES - over }];
  });
}

/** Samples of each chunk, sentence by sentence: a text chunk begins the next sentence. */
function bySentence(steps: readonly StreamResponse[]): readonly (readonly number[])[] {
  const sentences: number[][] = [];
  for (const { content } of steps) {
    if (content.case === "textChunk") sentences.push([]);
    if (content.case === "audioChunk") sentences.at(-1)?.push(content.value.shape[0] ?? 0);
  }
  return sentences;
}

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
      const sentences = bySentence(await hear(createScriptedLanguageModel(reply), chunkMs));
      expect(sentences).toHaveLength(3);
      for (const chunks of sentences) {
        const gaps = playBlocks(chunks).filter(({ after }) => after < chunks.length - 1);
        expect(gaps).toEqual([]);
      }
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
    const [chunks = []] = bySentence(await hear(createScriptedLanguageModel(reply), 32));
    expect(2 * (chunks[0] ?? 0)).toBe(3072);
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
      const chunks = bySentence(steps).flat();
      expect(chunks.length).toBeGreaterThan(3);
      expect(playBlocks(chunks).every(({ after }) => after === chunks.length - 1)).toBe(true);
    });
  });
});
