import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { throwIfAborted } from "../core/async.ts";
import { type Child, startChild } from "./child.ts";
import type { DecodeCommand } from "./decoding/command.ts";
import type { DecodingOptions, Measured, NextAnswer } from "./decoding/worker.ts";

/** Decodes files that nobody has looked into, each in a process of its own. */
export type Decoder = {
  /**
   * The file's windows at 16 kHz, pulled one by one; the last one is as short as what is left. Throws an
   * `AnalysisError`, or the signal's reason.
   */
  windows(file: Uint8Array, signal: AbortSignal): AsyncGenerator<Int16Array>;
  /** Decodes all of a file, to know that it can be, and how long it is. Throws as `windows` does. */
  measure(file: Uint8Array, signal: AbortSignal): Promise<Measured>;
};

/** How files are decoded. */
export type DecoderOptions = {
  readonly maxSeconds: number;
  readonly command?: DecodeCommand;
  /** Megabytes that the decoding of one file may need; 384 if absent. */
  readonly maxMemoryMb?: number;
  /** Milliseconds that one window may take, 10,000 if absent, and a whole file, 60,000 if absent. */
  readonly windowTimeoutMs?: number;
  readonly fileTimeoutMs?: number;
};

const MAX_MEMORY_MB = 384;
const WINDOW_MS = 10_000;
const FILE_MS = 60_000;
const PIECE_BYTES = 64 * 1024;
/** A decoder that hangs or grows does so because of its file. */
const beyond = { kind: "invalid", what: "the file cannot be decoded" } as const;

/** Creates a decoder. A process runs only while a file is decoded. */
export function createDecoder(options: DecoderOptions): Decoder {
  const { maxMemoryMb = MAX_MEMORY_MB } = options;
  const { windowTimeoutMs = WINDOW_MS, fileTimeoutMs = FILE_MS } = options;
  const open = (file: Uint8Array) => {
    const folder = join(tmpdir(), `parley-decode-${randomUUID()}`);
    const { maxSeconds, command } = options;
    const own: DecodingOptions = { maxSeconds, folder, ...(command && { command }) };
    const child = startChild({
      program: new URL("./decoding/worker.ts", import.meta.url),
      args: [JSON.stringify(own)],
      maxMemoryMb,
      hasInput: true,
    });
    feed(child, file);
    const close = async () => {
      await child.close();
      if (command) await rm(folder, { recursive: true, force: true });
    };
    return { child, close };
  };
  return {
    async *windows(file, signal) {
      const { child, close } = open(file);
      const limits = { signal, timeoutMs: windowTimeoutMs, beyond };
      try {
        for (;;) {
          const { window } = await child.call<NextAnswer>({ type: "next" }, limits);
          if (!window) return;
          yield window;
        }
      } finally {
        await close();
      }
    },
    async measure(file, signal) {
      throwIfAborted(signal);
      const { child, close } = open(file);
      const limits = { signal, timeoutMs: fileTimeoutMs, beyond };
      try {
        return await child.call<Measured>({ type: "measure" }, limits);
      } finally {
        await close();
      }
    },
  };
}

/** In pieces, as the process takes them. */
function feed({ input }: Child, file: Uint8Array): void {
  const pieces = function* () {
    for (let at = 0; at < file.length; at += PIECE_BYTES) yield file.subarray(at, at + PIECE_BYTES);
  };
  if (input) Readable.from(pieces(), { objectMode: false, highWaterMark: PIECE_BYTES }).pipe(input);
}
