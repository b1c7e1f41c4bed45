import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GeminiEmulator, startGeminiEmulator } from "../../../emulators/gemini.ts";
import { createGeminiEmbedder } from "./embedder.ts";

const apiKey = "AIzaNotARealKey";
const { signal } = new AbortController();

describe("createGeminiEmbedder", () => {
  let emulator: GeminiEmulator;
  beforeAll(async () => {
    emulator = await startGeminiEmulator();
  });
  afterAll(() => emulator.stop());
  const create = (model = "gemini-embedding-001") =>
    createGeminiEmbedder({ apiKey, baseUrl: emulator.url, model });

  it.each(["gemini-embedding-001", "gemini-embedding-2"])(
    "gets one vector for each text from %s, by one request",
    async (model) => {
      emulator.play({});
      const vectors = await create(model).embed(
        ["green tea", "a red car", "green tea"],
        "fact",
        signal,
      );
      expect(vectors).toHaveLength(3);
      expect(vectors[0]).toBeInstanceOf(Float32Array);
      expect(vectors[0]).toEqual(vectors[2]);
      expect(vectors[0]).not.toEqual(vectors[1]);
      expect(emulator.embeddings.at(-1)).toEqual({
        model,
        texts: ["green tea", "a red car", "green tea"],
        taskType: "RETRIEVAL_DOCUMENT",
      });
    },
  );

  it("says of a query that it is one", async () => {
    emulator.play({});
    await create().embed(["tea?"], "query", signal);
    expect(emulator.embeddings.at(-1)?.taskType).toBe("RETRIEVAL_QUERY");
  });

  it.each([
    ["unauthorized", "authentication"],
    ["rate-limit", "rate_limit"],
    ["html-500", "server"],
    ["refuse", "connectivity"],
  ] as const)("tells %s as %s, without the key", async (kind, expected) => {
    emulator.play({ fault: { kind } });
    const error = await create()
      .embed(["tea"], "fact", signal)
      .catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ name: "ProviderError", kind: expected });
    expect(String(error)).not.toContain(apiKey);
  });

  it("ends promptly with the signal's reason, and leaves no request open", async () => {
    emulator.play({ fault: { kind: "hang" } });
    const stopped = new AbortController();
    const embedding = create().embed(["tea"], "fact", stopped.signal);
    await expect.poll(() => emulator.active()).toBe(1);
    const reason = new Error("enough");
    stopped.abort(reason);
    await expect(embedding).rejects.toBe(reason);
    await expect.poll(() => emulator.active()).toBe(0);
  });
});
