import { createWriteStream, fstatSync } from "node:fs";
import type { Writable } from "node:stream";

/** The log's output. Writing never waits, so a stalled reader stops nobody. */
export type LogBuffer = {
  /**
   * Writes one line with its newline, or drops it if there is no room. Once there is room again, one
   * line says how many were dropped.
   */
  write(line: string): void;
  /** Bytes that wait to be written. */
  depth(): number;
  /** Waits until all lines are written, for `withinMs` at most. For the end of the process. */
  flush(withinMs: number): Promise<void>;
};

/** Some thousand lines: enough for a reader that pauses, little enough for one that never reads. */
const MAX_BYTES = 256 * 1024;

/**
 * Makes a buffer of at most `maxBytes` in front of an output that writes off the loop. An output
 * that fails is abandoned, and the lines with it.
 */
export function createLogBuffer(output: Writable, maxBytes = MAX_BYTES): LogBuffer {
  let dropped = 0;
  let isBroken = false;
  output.on("error", () => {
    isBroken = true;
  });

  /** Not before half is free, or a slow reader would get one count for every other line. */
  const tellDropped = () => {
    if (dropped === 0 || isBroken || output.writableLength > maxBytes / 2) return;
    const line = lossLine(dropped);
    dropped = 0;
    output.write(line);
  };
  const emptied = () => new Promise<void>((resolve) => output.write("", () => resolve()));
  const empty = async () => {
    if (output.writableLength > 0) await emptied();
    if (dropped === 0) return;
    tellDropped();
    await emptied();
  };

  return {
    write(line) {
      tellDropped();
      const bytes = Buffer.from(line);
      if (isBroken) return;
      if (dropped > 0 || output.writableLength + bytes.length > maxBytes) dropped += 1;
      else output.write(bytes, tellDropped);
    },
    depth: () => output.writableLength,
    async flush(withinMs) {
      if (isBroken) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, withinMs);
      await Promise.race([promise, empty()]);
      clearTimeout(timer);
    },
  };
}

/** In the form of pino's lines, at any level: it is about the log itself. */
function lossLine(dropped: number): string {
  const msg = `${dropped} log ${dropped === 1 ? "line" : "lines"} dropped`;
  return `${JSON.stringify({ level: 40, time: Date.now(), dropped, msg })}\n`;
}

let standardError: LogBuffer | undefined;

/** The buffer in front of standard error. A process has one. */
export function openStandardError(): LogBuffer {
  standardError ??= createLogBuffer(openOutput());
  return standardError;
}

/** Bytes that wait for the reader of standard error; 0 if nothing was ever logged. */
export function logDepth(): number {
  return standardError?.depth() ?? 0;
}

/**
 * Node writes off the loop by itself where standard error is a pipe or a socket. To a file or a
 * terminal `process.stderr` writes on the loop, so those get a stream that uses Node's threads. (A
 * pipe must not: a thread that waits for a reader holds up the exit.)
 */
function openOutput(): Writable {
  const { fd } = process.stderr;
  const kind = fstatSync(fd);
  if (kind.isFIFO() || kind.isSocket()) return process.stderr;
  return createWriteStream("", { fd, autoClose: false });
}
