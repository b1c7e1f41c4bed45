import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { toStorageError } from "./errors.ts";
import type { ThreadOptions, WorkerAnswer, WorkerError, WorkerRequest } from "./worker.ts";

/** The thread that has the database. */
export type DatabaseThread = {
  /** Starts it. Does nothing while it runs. */
  start(): void;
  /** Asks it, if it runs. */
  ask(request: WorkerRequest): void;
  /** Has it write what waits and end. Resolves when it has ended, or after `waitMs`. */
  stop(waitMs: number): Promise<void>;
};

/** Hears of the thread. */
type ThreadListener = {
  readonly onAnswer: (answer: WorkerAnswer) => void;
  /** It ended by itself. `missing`: its packages cannot be loaded. */
  readonly onEnd: (error: WorkerError) => void;
};

/** Makes a thread that does not run yet. */
export function createDatabaseThread(
  { url, authToken, timeoutMs, gateway }: ThreadOptions,
  { onAnswer, onEnd }: ThreadListener,
): DatabaseThread {
  let running: Worker | undefined;
  const workerData = { url, timeoutMs, gateway, ...(authToken !== undefined && { authToken }) };
  const start = () => {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      workerData,
      env: {},
      // Its rows live for milliseconds: a large young generation would only take memory.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    worker.unref();
    let failure: WorkerError = { kind: "io", code: "THREAD_ENDED" };
    worker.on("message", onAnswer);
    worker.on("error", (error) => {
      if (toStorageError(error).kind === "missing") failure = { kind: "missing" };
    });
    worker.once("exit", () => {
      if (running !== worker) return;
      running = undefined;
      onEnd(failure);
    });
    return worker;
  };
  return {
    start() {
      running ??= start();
    },
    ask: (request) => running?.postMessage(request),
    async stop(waitMs) {
      const worker = running;
      if (!worker) return;
      worker.postMessage({ type: "close" } satisfies WorkerRequest);
      running = undefined;
      const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
      // One that is stuck in a call is left to itself: terminated, libSQL would abort the process.
      const waited = new AbortController();
      const late = sleep(waitMs, undefined, { signal: waited.signal }).catch(() => undefined);
      await Promise.race([ended, late]);
      waited.abort();
    },
  };
}
