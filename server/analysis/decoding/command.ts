import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { AnalysisError } from "../errors.ts";
import type { Pcm } from "./mono.ts";
import { decodeWavFile } from "./wav.ts";

/** A program that decodes. */
export type DecodeCommand = {
  /** The program and its arguments, one of them `{input}`. It writes WAV to its standard output. */
  readonly argv: readonly string[];
  /** All that it gets of the environment. */
  readonly env: Readonly<Record<string, string>>;
};

/** Stands in `DECODE_COMMAND` for the path of the file. */
const INPUT = "{input}";
/** The end of what it writes to stderr, for the log. */
const ERROR_CHARACTERS = 2000;

/**
 * Decodes by a program. It gets the path of a copy in `folder`, because some formats must be read from
 * their end; who started this process removes the folder.
 */
export async function* decodeByCommand(
  bytes: AsyncIterable<Uint8Array>,
  { argv, env }: DecodeCommand,
  folder: string,
): AsyncGenerator<Pcm> {
  const path = join(folder, "file");
  await mkdir(folder, { mode: 0o700 });
  await write(path, bytes);
  const [program = "", ...args] = argv.map((arg) => arg.replaceAll(INPUT, path));
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-ERROR_CHARACTERS);
  });
  // Without a listener its error would end this process.
  const started = once(child, "spawn").catch(() => {
    const message = "DECODE_COMMAND names a program that cannot be started";
    throw new AnalysisError("unavailable", message);
  });
  await started;
  let samples = 0;
  try {
    for await (const part of decodeWavFile(child.stdout)) {
      samples += part.pcm.length;
      yield part;
    }
  } catch {
    samples = 0;
  } finally {
    child.kill("SIGKILL");
  }
  if (samples > 0) return;
  throw new AnalysisError("invalid", "the file cannot be decoded by DECODE_COMMAND", said);
}

async function write(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  for await (const piece of bytes) await file.write(piece);
}
