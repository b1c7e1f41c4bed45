import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AnalysisError } from "../../server/analysis/errors.ts";
import { createModel } from "../../server/analysis/model.ts";
import { InvalidModel } from "../../server/analysis/model-file.ts";
import { createFolder } from "../storage/databases.ts";
import { type ModelShape, onnxModel, writeModel } from "../support/analysis-models.ts";
import { startAnalyzing, wavOf } from "./analyzing.ts";

let folder: ReturnType<typeof createFolder>;
beforeEach(() => {
  folder = createFolder();
});
afterEach(() => folder[Symbol.dispose]());

const { signal } = new AbortController();
const windowOf = (level: number, samples = 64_000) =>
  new Int16Array(samples).fill(Math.round(level * 32_768));
const logit = (level: number) => 1 / (1 + Math.exp(-(level * 20 - 2)));

/** Scores windows by a model. */
async function score(shape: ModelShape, windows: readonly Int16Array[], changes = {}) {
  const path = writeModel(folder.path, shape, changes);
  const model = createModel({ path, device: "auto", workers: 1 });
  try {
    const { scorers } = await model.get();
    return { scores: await scorers.score(async () => windows, signal), status: model.status() };
  } finally {
    await model.close();
  }
}

/** Why a model is refused. */
async function refusal(shape: ModelShape, changes = {}): Promise<unknown> {
  const path = writeModel(folder.path, shape, changes);
  const model = createModel({ path, device: "auto", workers: 1 });
  const error = await model.start().catch((reason: unknown) => reason);
  await model.close();
  return error;
}

describe("createModel", () => {
  it.each([
    ["one logit", { kind: "logit" }, [logit(0.1), logit(0.15)]],
    ["one probability", { kind: "probability" }, [logit(0.1), logit(0.15)]],
    // The difference of the two logits is twice the one.
    ["two classes", { kind: "two-class-logits" }, [0.5, 1 / (1 + Math.exp(-2))]],
    ["a mask", { kind: "logit", mask: true }, [logit(0.1), logit(0.15)]],
    ["one window at a time", { kind: "logit", input: [1, 64_000] }, [logit(0.1)]],
  ] as const)("scores by a model of %s", async (_name, shape, expected) => {
    const windows = [windowOf(0.1), windowOf(0.15)].slice(0, expected.length);
    const { scores, status } = await score(shape as ModelShape, windows);
    for (const [at, score] of scores.entries()) expect(score).toBeCloseTo(expected[at] ?? 0, 4);
    expect(status).toMatchObject({ state: "ok", device: "cpu", name: "loudness" });
  });

  it("takes the other class where the JSON says that it is the synthetic one", async () => {
    const shape = { kind: "two-class-logits" } as const;
    const output = { name: "out", kind: shape.kind, spoofIndex: 0 };
    const { scores } = await score(shape, [windowOf(0.15)], { output });
    expect(scores[0]).toBeCloseTo(1 - 1 / (1 + Math.exp(-2)), 4);
  });

  it("hides from the model with the mask what fills a window up", async () => {
    const { scores } = await score({ kind: "logit", mask: true }, [windowOf(0.1, 16_000)]);
    expect(scores[0]).toBeCloseTo(logit(0.1), 4);
  });

  it("has no score where the model overflows", async () => {
    const { scores } = await score({ kind: "logit", gain: 3e38 }, [windowOf(0.9), windowOf(0)]);
    expect(scores).toEqual([expect.closeTo(1), expect.closeTo(logit(0), 4)]);
    const infinite = await score({ kind: "logit", gain: Number.POSITIVE_INFINITY }, [
      windowOf(0.9),
    ]);
    expect(infinite.scores).toEqual([Number.NaN]);
  });

  it.each([
    [
      "another window",
      { kind: "logit", input: ["batch", 16_000] },
      /input "wave" takes float32 \[batch, 16000\]; the gateway gives float32 \[N, 64000\]/,
    ],
    [
      "more outputs",
      { kind: "two-class-logits" },
      /output "out" gives float32 \[4, 2\]; the gateway reads float32 \[4\] or \[4, 1\] as logit/,
    ],
  ] as const)(
    "refuses at the start a model with %s, and says both shapes",
    async (name, shape, message) => {
      const output = { name: "out", kind: "logit" };
      const error = await refusal(shape as ModelShape, name === "more outputs" ? { output } : {});
      expect(error).toBeInstanceOf(InvalidModel);
      expect((error as Error).message).toMatch(message);
    },
  );

  it.each([
    ["a field that is missing", { threshold: undefined }, "threshold"],
    ["another rate", { sampleRateHz: 8000 }, "sampleRateHz"],
    ["a field that is unknown", { treshold: 1 }, "treshold"],
  ])("refuses at the start a JSON with %s", async (_name, changes, field) => {
    const error = await refusal({ kind: "logit" }, changes);
    expect(error).toBeInstanceOf(InvalidModel);
    expect((error as Error).message).toContain(field);
  });

  it("refuses CUDA where the runtime has none", async () => {
    const path = writeModel(folder.path, { kind: "logit" });
    const model = createModel({ path, device: "cuda", workers: 1 });
    await expect(model.start()).rejects.toThrow("ANALYSIS_DEVICE is cuda");
    await model.close();
  });

  it("is missing, and says what to set, without its files or with what is no model", async () => {
    const path = join(folder.path, "none.onnx");
    const model = createModel({ path, device: "auto" });
    await model.start();
    await expect(model.get()).rejects.toThrow("ANALYSIS_MODEL: the ONNX file is missing");
    writeFileSync(path, onnxModel({ kind: "logit" }));
    await expect(model.get()).rejects.toThrow("the JSON beside the ONNX file is missing");
    expect(model.status()).toMatchObject({ state: "missing", lastError: expect.any(String) });
    const broken = writeModel(folder.path, { kind: "logit" });
    writeFileSync(broken, "no model");
    const other = createModel({ path: broken, device: "auto", workers: 1 });
    await expect(other.get()).rejects.toBeInstanceOf(AnalysisError);
    await other.close();
  });
});

describe("a gateway", () => {
  it("does not start with a model of another shape", async () => {
    const start = startAnalyzing({ model: { kind: "logit", input: [1, 16_000] } });
    await expect(start).rejects.toThrow("takes float32 [1, 16000]");
  });

  it("answers 503 with what to set while its model is missing, and heals without a restart", async () => {
    const path = join(folder.path, "model.onnx");
    await using own = await startAnalyzing({ env: { ANALYSIS_MODEL: path } });
    const refused = await own.upload(wavOf({ seconds: 4 }));
    expect([refused.status, refused.body.error]).toEqual([
      503,
      { code: "unavailable", message: "ANALYSIS_MODEL: the ONNX file is missing" },
    ]);
    expect(own.files()).toEqual([]);
    expect(own.gateway.status().analysis.model.state).toBe("missing");
    writeModel(folder.path, { kind: "logit" });
    expect(await own.analyze(wavOf({ seconds: 4 }))).toMatchObject({ status: "COMPLETED" });
  });
});
