import { fileURLToPath } from "node:url";
import { build } from "vite";
import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();

/** The page's decoder as a script. */
async function bundle(): Promise<string> {
  const entry = fileURLToPath(new URL("../../web/src/opus.ts", import.meta.url));
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: { write: false, lib: { entry, formats: ["iife"], name: "opus" } },
  });
  const [result] = Array.isArray(built) ? built : [built];
  if (!result || !("output" in result)) throw new Error("the decoder cannot be bundled");
  return result.output[0].code;
}

/** Encodes 1 s of 440 Hz by the browser, decodes each packet by itself, and tells what came out. */
const roundTrip = `(async () => {
  const packets = [];
  const encoder = new AudioEncoder({
    output: (chunk) => {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      packets.push(data);
    },
    error: (error) => { throw error; },
  });
  encoder.configure({ codec: "opus", sampleRate: 48000, numberOfChannels: 1, bitrate: 32000 });
  const tone = Float32Array.from({ length: 48000 }, (_, at) => 0.5 * Math.sin((at / 48000) * 2 * Math.PI * 440));
  encoder.encode(new AudioData({ format: "f32-planar", sampleRate: 48000, numberOfFrames: 48000,
    numberOfChannels: 1, timestamp: 0, data: tone }));
  await encoder.flush();
  const decoder = new opus.OpusDecoder();
  const samples = [];
  for (const packet of packets) samples.push(...(await decoder.decode(packet)));
  decoder.close();
  const middle = samples.slice(10000, 40000);
  const crossings = middle.filter((value, at) => at > 0 && value >= 0 && middle[at - 1] < 0).length;
  return { packets: packets.length, samples: samples.length, peak: Math.max(...middle),
    hertz: crossings / (middle.length / 48000), bytes: packets.reduce((sum, { length }) => sum + length, 0) };
})()`;

describe("OpusDecoder", () => {
  it("gives each packet's samples back, in order", () =>
    visit(async ({ page }) => {
      await page.evaluate(await bundle());
      const told = (await page.evaluate(roundTrip)) as Record<string, number>;
      expect(told["samples"]).toBeGreaterThanOrEqual(47_000);
      expect(told["hertz"]).toBeGreaterThan(435);
      expect(told["hertz"]).toBeLessThan(445);
      expect(told["peak"]).toBeGreaterThan(13_000);
      expect(told["bytes"]).toBeLessThan(12_000);
    }));
});
