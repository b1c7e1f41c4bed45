import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { createKokoroVoice, createKokoroWorkers } from "../../server/local-tts/kokoro/kokoro.ts";
import { synthesizerSuite } from "../contracts/synthesizer-suite.ts";
import { tellMissing } from "../support/program.ts";

// Kokoro with its real model, of which every second of speech costs about one of a core: so it is
// tested as a service that is billed, and what needs many calls is tested without the model, beside
// the code.

const dir =
  process.env["KOKORO_DIR"] ?? fileURLToPath(new URL("../../data/kokoro", import.meta.url));
const never = new AbortController().signal;
const sampleRateHz = 24_000;

/** Whether the files are here. In CI they must be. */
function hasModel(): boolean {
  const last = ["kokoro-fp16.part9.bin", "af_heart.bin"];
  if (last.every((name) => existsSync(join(dir, name)))) return true;
  tellMissing("Kokoro's files are not here: run node tools/kokoro.mjs.");
  return false;
}

function testModel(): void {
  const workerPool = createKokoroWorkers({ dir, voice: "af_heart" });
  const voice = createKokoroVoice({ transliterate: true, workerPool });
  afterAll(() => workerPool.close());

  const samplesOf = async (text: string) => {
    const parts = await Array.fromAsync(voice.synthesize(text, {}, never));
    for (const part of parts) expect(part.sampleRateHz).toBe(sampleRateHz);
    return parts.flatMap(({ pcm }) => Array.from(pcm, (sample) => sample / 0x8000));
  };

  describe("createKokoroVoice", { timeout: 120_000 }, () => {
    it("speaks every word at a natural pace and a steady level, without clipping", async () => {
      const samples = await samplesOf("The quick brown fox jumps over the lazy dog.");
      const aWord = samples.length / sampleRateHz / 9;
      expect(aWord).toBeGreaterThan(0.2);
      expect(aWord).toBeLessThan(0.6);
      const spoken = samples.filter((sample) => Math.abs(sample) > 0.001);
      const power = spoken.reduce((sum, sample) => sum + sample * sample, 0) / spoken.length;
      expect(10 * Math.log10(power)).toBeGreaterThan(-26);
      expect(10 * Math.log10(power)).toBeLessThan(-15);
      expect(spoken.every((sample) => Math.abs(sample) < 0.98)).toBe(true);
    });

    // In half precision, as its file has it, this one is no number from the first sample to the last.
    it("has sound for a clause that overflows in half precision", async () => {
      const samples = await samplesOf("she told him that the train");
      expect(samples.filter((sample) => Math.abs(sample) > 0.01).length).toBeGreaterThan(2_000);
    });
  });

  synthesizerSuite(
    "Kokoro",
    async () => ({
      synthesizer: voice,
      active: workerPool.pendingCalls,
      stop: async () => undefined,
    }),
    { live: true, slow: true },
  );
}

if (hasModel()) testModel();
else it.skip("Kokoro speaks, where its files are");
