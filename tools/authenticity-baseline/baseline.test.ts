import { readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDittliEngine } from "../../server/local-tts/dittli/engine.ts";

const folder = new URL("../../server/analysis/baseline/", import.meta.url);
const modelPath = fileURLToPath(new URL("model.onnx", folder));
const description = JSON.parse(readFileSync(new URL("model.json", folder), "utf8"));
const windowSamples = 64_000;

let session: InferenceSession;
beforeAll(async () => {
  session = await InferenceSession.create(modelPath, { intraOpNumThreads: 1 });
});
afterAll(() => session.release());

/** The logits of windows, run as one batch. */
async function logitsOf(windows: readonly Float32Array[]): Promise<number[]> {
  const samples = new Float32Array(windows.length * windowSamples);
  for (const [at, window] of windows.entries()) samples.set(window, at * windowSamples);
  const waveform = new Tensor("float32", samples, [windows.length, windowSamples]);
  const { logit } = await session.run({ [description.input.name]: waveform });
  expect(logit?.dims).toEqual([windows.length, 1]);
  return Array.from(logit?.data as Float32Array);
}

const scoreOf = async (window: Float32Array) => {
  const [logit = Number.NaN] = await logitsOf([window]);
  return 1 / (1 + Math.exp(-logit));
};

/** A WAV file of the sample rate that the model wants, and a header of 44 bytes. */
function recorded(): Float32Array {
  const file = readFileSync(new URL("recorded.wav", import.meta.url));
  expect(file.readUInt32LE(24)).toBe(description.sampleRateHz);
  return windowOf(Array.from(new Int16Array(file.buffer.slice(file.byteOffset + 44))));
}

/** The gateway's own voice, by linear interpolation at the model's sample rate. */
async function synthetic(text: string): Promise<Float32Array> {
  const engine = await createDittliEngine(join(tmpdir(), "parley-baseline-test"), "en");
  const spoken = await engine.speak(text, 0);
  const step = engine.sampleRateHz / description.sampleRateHz;
  const length = Math.floor((spoken.length - 1) / step);
  return windowOf(Array.from({ length }, (_, at) => interpolated(spoken, at * step)));
}

function interpolated(samples: Int16Array, position: number): number {
  const at = Math.floor(position);
  const [before = 0, after = 0] = [samples[at], samples[at + 1]];
  return before + (after - before) * (position - at);
}

/** The first four seconds; zeros where there are fewer. */
function windowOf(samples: readonly number[]): Float32Array {
  const window = new Float32Array(windowSamples);
  window.set(samples.slice(0, windowSamples).map((sample) => sample / 32_768));
  return window;
}

function tone(hertz: number, length = windowSamples): Float32Array {
  return windowOf(
    Array.from({ length }, (_, at) => 9_000 * Math.sin((2 * Math.PI * hertz * at) / 16_000)),
  );
}

describe("the baseline model", () => {
  it("takes less than 2 MB", () => {
    expect(statSync(modelPath).size).toBeLessThan(2_000_000);
  });

  it("is described by model.json as its graph is", () => {
    expect(session.inputNames).toEqual([description.input.name]);
    expect(session.outputNames).toEqual([description.output.name]);
    const [input] = session.inputMetadata;
    expect(input).toMatchObject({ type: "float32", shape: description.input.shape });
    expect(description).toMatchObject({
      output: { kind: "logit" },
      windowSamples,
      sampleRateHz: 16_000,
    });
    expect(description.threshold).toBeGreaterThan(description.uncertainMargin);
    expect(description.threshold + description.uncertainMargin).toBeLessThan(1);
    expect(description.limits).not.toBe("");
  });

  it("gives windows of a batch the numbers that they have alone", async () => {
    const windows = [tone(200), recorded(), tone(1_500, 20_000)];
    const together = await logitsOf(windows);
    for (const [at, window] of windows.entries()) {
      const [alone = Number.NaN] = await logitsOf([window]);
      expect(together[at]).toBeCloseTo(alone, 3);
    }
  });

  it("gives silence, full scale and a single sample a finite number", async () => {
    const windows = [new Float32Array(windowSamples), tone(300).fill(1), tone(300, 1)];
    for (const logit of await logitsOf(windows)) expect(logit).toSatisfy(Number.isFinite);
  });

  it("gives the same number at another level", async () => {
    const loud = recorded();
    const [first = 0, second = 1] = await logitsOf([loud, loud.map((sample) => sample / 8)]);
    expect(second).toBeCloseTo(first, 1);
  });

  it("calls a recorded sentence genuine and the gateway's own voice spoof", async () => {
    const text = "Please leave your message after the tone, and press the pound key to finish.";
    expect(await scoreOf(recorded())).toBeLessThan(description.threshold);
    expect(await scoreOf(await synthetic(text))).toBeGreaterThan(description.threshold);
  });
});
