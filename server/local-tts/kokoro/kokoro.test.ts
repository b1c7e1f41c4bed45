import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { synthesizerSuite } from "../../../test/contracts/synthesizer-suite.ts";
import { createWorkerPool } from "../worker/worker-pool.ts";
import { createKokoroVoice, createKokoroWorkers } from "./kokoro.ts";

// The real model is heard in test/providers/kokoro.full.test.ts, where its files are.

const folder = mkdtempSync(join(tmpdir(), "kokoro-"));
afterAll(() => rmSync(folder, { recursive: true }));
const never = new AbortController().signal;

/** A tenth of a second of sound for each word. */
const program = join(folder, "program.mjs");
writeFileSync(
  program,
  `process.on("message", ({ text, pauseMs }) => {
     const length = text.split(" ").length * 2400 + pauseMs * 24;
     process.send({ type: "spoken", sampleRateHz: 24000, pcm: new Int16Array(length).fill(7) });
   });
   process.send({ type: "ready" });`,
);

const workerPool = createWorkerPool({
  provider: "kokoro",
  program: pathToFileURL(program),
  readyTimeoutMs: 20_000,
  speakTimeoutMs: 20_000,
});

describe("createKokoroVoice", () => {
  it("refuses a text in another script unless it may transliterate it", async () => {
    const voice = createKokoroVoice({ transliterate: false, workerPool });
    await expect(Array.fromAsync(voice.synthesize("Привет.", {}, never))).rejects.toMatchObject({
      provider: "kokoro",
      kind: "language",
    });
  });

  it("reports what is missing at the start and in every call", {
    timeout: 60_000,
  }, async () => {
    const dir = join(folder, "empty");
    mkdirSync(dir);
    const reported = Promise.withResolvers<unknown>();
    const voice = createKokoroVoice({
      transliterate: true,
      workerPool: createKokoroWorkers({ dir, voice: "af_heart" }),
      onError: reported.resolve,
    });
    const missing = {
      name: "ProviderError",
      provider: "kokoro",
      misconfigured: true,
      message: expect.stringContaining("af_heart.bin is missing; run `node tools/kokoro.mjs"),
    };
    await voice.start?.(never);
    expect(await reported.promise).toMatchObject(missing);
    await expect(Array.fromAsync(voice.synthesize("Yes.", {}, never))).rejects.toMatchObject(
      missing,
    );
    await voice.stop?.();
  });
});

synthesizerSuite(
  "Kokoro without its model",
  async () => ({
    synthesizer: createKokoroVoice({ transliterate: true, workerPool }),
    active: workerPool.pendingCalls,
    stop: async () => undefined,
  }),
  { unscripted: true },
);
