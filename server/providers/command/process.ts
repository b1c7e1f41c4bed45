import { type ChildProcess, spawn } from "node:child_process";
import type { Call } from "./arguments.ts";

/** A program that runs, or fails to start. */
export type Program = {
  /** Resolves when it runs; rejects if it cannot be started. */
  readonly started: Promise<void>;
  /** Its standard output. The program waits while nothing is pulled. */
  readonly output: AsyncIterator<Uint8Array>;
  /** The exit code, or the name of the signal that killed it. */
  readonly ended: Promise<number | string>;
  /** Bytes that it has written to stderr. They are not kept: they may hold what it was told to say. */
  errorBytes(): number;
  /** Kills it and its child processes. Has no effect after its exit. */
  kill(): void;
};

// A process group is killed as one. Windows has none: child processes survive there.
const hasGroups = process.platform !== "win32";

/** Starts a program without a shell. `env` replaces the gateway's environment. */
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
    // A program that could not start has ended, too.
    child.on("error", () => resolve("nothing"));
  });
  let open = true;
  child.on("close", () => {
    open = false;
  });
  // A program need not read all its input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(call.input);
  const kill = () => {
    if (open) killGroup(child);
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
  };
  const output = child.stdout[Symbol.asyncIterator]();
  return { started, output, ended, errorBytes: countBytes(child.stderr), kill };
}

/** A promise whose rejection may be ignored. */
function once<T>(
  listen: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  promise.catch(() => undefined);
  listen(resolve, reject);
  return promise;
}

function countBytes(stream: NodeJS.ReadableStream): () => number {
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  stream.on("error", () => undefined);
  return () => bytes;
}

function killGroup(child: ChildProcess): void {
  try {
    if (hasGroups && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch {
    // It has already exited.
  }
}
