import { type ChildProcess, spawn } from "node:child_process";
import type { Call } from "./arguments.ts";

/** A program that was started, or is about to fail to start. */
export type Program = {
  /** Settles when it runs; rejects if it could not be started. */
  readonly started: Promise<void>;
  /** What it writes to standard output, pulled: while nothing is pulled, the program waits. */
  readonly output: AsyncIterator<Uint8Array>;
  /** How it ended: an exit code, or the name of the signal that killed it. */
  readonly ended: Promise<number | string>;
  /** Settles when it has ended and nobody holds its standard output and error any more. */
  readonly closed: Promise<void>;
  /** The last of what it wrote to standard error, on one line and without control characters. */
  errorText(): string;
  /** Kills it and what it started at once. Harmless after its end, and when called again. */
  kill(): void;
};

const keptErrorText = 4_096;
// A group is killed as one; Windows knows none, and there what the program started lives on.
const hasGroups = process.platform !== "win32";

/** Starts a program, without a shell. `env` replaces the gateway's own environment. */
export function startProgram(call: Call, env?: Readonly<Record<string, string>>): Program {
  const child = spawn(call.file, call.args, {
    stdio: "pipe",
    detached: hasGroups,
    windowsHide: true,
    ...(env && { env }),
  });
  const started = once<void>((resolve, reject) => {
    child.on("spawn", resolve);
    child.on("error", reject);
  });
  const ended = once<number | string>((resolve) => {
    child.on("exit", (code, signal) => resolve(code ?? signal ?? "nothing"));
    // A program that never ran is over as well.
    child.on("error", () => resolve("nothing"));
  });
  let open = true;
  const closed = once<void>((resolve) => child.on("close", resolve));
  child.on("close", () => {
    open = false;
  });
  // A program that leaves a part of its input unread is free to do so.
  child.stdin.on("error", () => undefined);
  child.stdin.end(call.input);
  const kill = () => {
    if (open) killGroup(child);
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
  };
  const output = child.stdout[Symbol.asyncIterator]();
  return { started, output, ended, closed, errorText: collectText(child.stderr), kill };
}

/** A promise whose rejection need not be waited for. */
function once<T>(
  listen: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  promise.catch(() => undefined);
  listen(resolve, reject);
  return promise;
}

function collectText(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    text = (text + chunk).slice(-keptErrorText);
  });
  stream.on("error", () => undefined);
  return () => text.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
}

function killGroup(child: ChildProcess): void {
  try {
    if (hasGroups && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch {
    // It ended in the meantime.
  }
}
