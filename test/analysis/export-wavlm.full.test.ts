import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { createModel } from "../../server/analysis/model.ts";
import { createRandom } from "../fuzz/random.ts";
import { createFolder } from "../storage/databases.ts";
import { PYTHON } from "../support/client-python.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasProgram, runLines } from "../support/program.ts";

const EXPORTER = fileURLToPath(new URL("../../tools/export-wavlm.py", import.meta.url));
const WINDOWS = 3;
const WINDOW = 64_000;
const remedy = "install torch and onnx (Debian: apt install python3-torch python3-onnx)";
const hasTorch = hasProgram(PYTHON, ["-c", "import torch, onnx"], remedy);
const { signal } = new AbortController();

/** Windows of noise, each louder than the one before. */
function noise(): readonly Int16Array[] {
  const random = createRandom(39);
  return Array.from({ length: WINDOWS }, (_, index) =>
    Int16Array.from({ length: WINDOW }, () => random.between(-1, 1) * 2000 * (index + 1)),
  );
}

/** Exports, and answers PyTorch's scores of the windows. */
async function exportModel(folder: string, checkpoint: string, ...more: string[]) {
  const windows = noise();
  const floats = windows.flatMap((window) => [...window].map((sample) => sample / 32_768));
  const waves = join(folder, "waves");
  writeFileSync(waves, Buffer.from(Float32Array.from(floats).buffer));
  const path = join(folder, "model.onnx");
  const about = ["--name", "random", "--license", "MIT", "--limits", "Random weights."];
  const args = [EXPORTER, checkpoint, path, ...about, "--scores", waves, ...more];
  const lines = await Array.fromAsync(runLines(PYTHON, args, AbortSignal.timeout(50_000)));
  // The exporter of torch writes a line of its own.
  const scores = lines.map(Number).filter((score) => !Number.isNaN(score));
  return { path, windows, scores };
}

describe("tools/export-wavlm.py", () => {
  itUnless(!hasTorch).each([
    ["one logit", "random:1:1", []],
    ["two classes, of which the first is the synthetic one", "random:2:2", ["--spoof-index", "0"]],
    ["the norms and the input of WavLM Large", "random:3:1:stable", ["--normalize"]],
  ])("exports %s, with PyTorch's scores number by number", async (_name, checkpoint, more) => {
    using folder = createFolder();
    const { path, windows, scores } = await exportModel(folder.path, checkpoint, ...more);
    const model = createModel({ path, device: "cpu", workers: 1 });
    const { scorers } = await model.get();
    const own = await scorers.score(async () => windows, signal);
    await model.close();
    expect(own).toHaveLength(WINDOWS);
    for (const [index, score] of own.entries()) expect(score).toBeCloseTo(scores[index] ?? 0, 5);
    expect(new Set(scores.map((score) => score.toFixed(4))).size).toBe(WINDOWS);
  });

  itUnless(!hasTorch)("reads the weights of a .pth file", async () => {
    using folder = createFolder();
    const saved = join(folder.path, "random.pth");
    const made = await exportModel(folder.path, "random:4:1", "--save", saved);
    const again = await exportModel(folder.path, saved);
    expect(again.scores).toEqual(made.scores);
  });
});
