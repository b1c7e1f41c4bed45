import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { field } from "../../../test/support/protobuf.ts";
import { openCachedModel } from "./model-cache.ts";

const single = 1;
const tensor = (name: string) => [field(1, name), field(2, [field(1, [field(1, single)])])];

/** An ONNX model whose output is its input, changed by an operation: Neg, Abs. */
const modelOf = (operation: string) =>
  Buffer.concat([
    field(1, 8),
    field(7, [
      field(1, [field(1, "in"), field(2, "out"), field(4, operation)]),
      field(2, "graph"),
      field(11, tensor("in")),
      field(12, tensor("out")),
    ]),
    field(8, [field(2, 17)]),
  ]);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "model-cache-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Opens the model that `original` becomes, says what it makes of -3, and how often it was optimized. */
async function open(original: Uint8Array, into = folder) {
  let optimized = 0;
  const session = await openCachedModel({
    original,
    optimize: (bytes) => {
      optimized += 1;
      return bytes;
    },
    probe: (tried) => tried.run({ in: { values: Float32Array.of(-1), shape: [1] } }, "out"),
    folder: into,
    threads: 1,
  });
  const said = await session.run({ in: { values: Float32Array.of(-3), shape: [1] } }, "out");
  await session.release();
  return [said[0], optimized] as const;
}

describe("openCachedModel", () => {
  it("optimizes a model once, then reads it from the cache", async () => {
    expect(await open(modelOf("Neg"))).toEqual([3, 1]);
    expect(readdirSync(folder)).toEqual([
      expect.stringMatching(/^[0-9a-f]{64}-[\d.]+\.[0-9a-f]{64}\.onnx$/),
    ]);
    expect(await open(modelOf("Neg"))).toEqual([3, 0]);
  });

  it("caches models separately", async () => {
    expect(await open(modelOf("Floor"))).toEqual([-3, 1]);
    expect(await open(modelOf("Neg"))).toEqual([3, 1]);
  });

  it("optimizes and caches it again when the cached file is damaged", async () => {
    await open(modelOf("Neg"));
    const [name = ""] = readdirSync(folder);
    const path = join(folder, name);
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, whole.length / 2));
    expect(await open(modelOf("Neg"))).toEqual([3, 1]);
    expect(readdirSync(folder)).toEqual([name]);
    expect(await open(modelOf("Neg"))).toEqual([3, 0]);
  });

  it("ignores a valid model that is not the cached one", async () => {
    await open(modelOf("Neg"));
    const [name = ""] = readdirSync(folder);
    await open(modelOf("Abs"));
    const [other = ""] = readdirSync(folder).filter((file) => file !== name);
    writeFileSync(join(folder, name), readFileSync(join(folder, other)));
    writeFileSync(join(folder, other), modelOf("Ceil"));
    expect(await open(modelOf("Neg"))).toEqual([3, 1]);
    expect(await open(modelOf("Neg"))).toEqual([3, 0]);
    expect(readdirSync(folder)).toContain(name);
  });

  it("deletes a cached model that returns no numbers, and caches none", async () => {
    await open(modelOf("Neg"));
    const [name = ""] = readdirSync(folder);
    const noNumbers = modelOf("Log");
    const hash = createHash("sha256").update(noNumbers).digest("hex");
    rmSync(join(folder, name));
    writeFileSync(join(folder, name.replace(/\.[0-9a-f]+\.onnx$/, `.${hash}.onnx`)), noNumbers);
    expect(await open(modelOf("Neg"))).toEqual([3, 1]);
    expect(readdirSync(folder)).toEqual([name]);
    await expect(open(modelOf("Sqrt"), join(folder, "none"))).rejects.toThrow("not a number");
    expect(readdirSync(join(folder, "none"))).toEqual([]);
  });

  it("deletes the drafts of killed processes only", async () => {
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    await open(modelOf("Neg"));
    const [name = ""] = readdirSync(folder);
    const draftOf = (pid: number) => name.replace(/\.[0-9a-f]+\.onnx$/, `.${pid}.draft`);
    const before = name.replace(/\.[0-9a-f]+\.onnx$/, `.onnx.${dead}`);
    for (const file of [draftOf(dead), draftOf(process.ppid), before, "notes.7"]) {
      writeFileSync(join(folder, file), "half");
    }
    expect(await open(modelOf("Neg"))).toEqual([3, 0]);
    expect(readdirSync(folder).toSorted()).toEqual(
      [draftOf(process.ppid), name, "notes.7"].toSorted(),
    );
  });

  it("works without a writable folder", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(await open(modelOf("Neg"), join(file, "below"))).toEqual([3, 1]);
  });

  it("rejects an invalid original, and leaves no file", async () => {
    await expect(open(Buffer.from("no model"))).rejects.toThrow();
    expect(readdirSync(folder)).toEqual([]);
  });
});
