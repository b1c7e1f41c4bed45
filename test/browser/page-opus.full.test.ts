import { fileURLToPath } from "node:url";
import { build } from "vite";
import { describe, expect, it } from "vitest";
import { createHummingVoice } from "../support/failing-voice.ts";
import { startShapedProxy } from "../support/shaped-proxy.ts";
import { openBrowser } from "./browser.ts";
import { startGateway } from "./gateway.ts";
import { createSuite } from "./suite.ts";
import { openVisit } from "./visit.ts";

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

describe("a line of 500 kbit/s", () => {
  it("carries a turn in Opus without a gap, once a turn in PCM has shown how slow it is", async () => {
    await using gateway = await startDisposable();
    await using proxy = await startShapedProxy(gateway.url);
    const browser = await openBrowser();
    try {
      const page = await openVisit(browser, proxy.url);
      proxy.setRate(500);
      await page.send("say: Some words and an end. Some words and an end. Some words and an end.");
      await page.reaches("idle");
      expect(await page.number("underruns")).toBeGreaterThan(0);
      await page.send("say: Some more words and an end. Some more words and an end. And an end.");
      await page.exceeds("played-samples", 2 * 48_000);
      await page.reaches("idle");
      expect(await page.number("underruns")).toBe(0);
      expect(await page.number("played-samples")).toBe(await page.number("received-samples"));
      expect(page.faults).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});

async function startDisposable() {
  const gateway = await startGateway({ synthesizers: [createHummingVoice("azure")] });
  return { url: gateway.url, [Symbol.asyncDispose]: gateway.stop };
}
