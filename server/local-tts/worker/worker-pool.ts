import { abortable, throwIfAborted } from "../../core/async/abort.ts";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart } from "../../models/synthesizer.ts";
import type { SpeakRequest } from "./messages.ts";
import { createQueue } from "./queue.ts";
import { startWorker, type WorkerClient, type WorkerOptions } from "./worker-client.ts";

/** Where a voice of this machine speaks: one process, one clause at a time, and the queue before it. */
export type WorkerPool = {
  /** Starts the process, if there is none. Resolves when the voice can speak. */
  open(): Promise<void>;
  /**
   * Speaks a clause, as soon as the voice is ready and it is this clause's turn. `neededAtMs`, on
   * the clock of `performance.now()`, is when its listener will have heard all that came before.
   * Throws a `ProviderError`, or the signal's reason at once, though a run then still ends unheard.
   */
  speak(request: SpeakRequest, neededAtMs: number, signal: AbortSignal): Promise<SpeechPart>;
  /** Calls of `speak` that wait for their turn or their sound. */
  readonly listeners: () => number;
  /** Ends the process. Clauses that wait or are being spoken fail. */
  close(): Promise<void>;
};

/** Creates a worker with no process in it. `openLink` is for tests. */
export function createWorkerPool(
  options: WorkerOptions,
  openLink: (options: WorkerOptions) => WorkerClient = startWorker,
): WorkerPool {
  const queue = createQueue();
  let link: WorkerClient | undefined;
  let closed = false;
  let listeners = 0;

  /** A process that ended is replaced when it is next needed; the tier's breaker paces that. */
  const current = (): WorkerClient => {
    if (closed) throw new ProviderError(options.provider, "server", "the voice was stopped");
    if (link) return link;
    const opened = openLink(options);
    link = opened;
    opened.ready.catch(() => opened.close());
    void opened.ended.then(() => {
      if (link === opened) link = undefined;
    });
    return opened;
  };

  const speak: WorkerPool["speak"] = async (request, neededAtMs, signal) => {
    await abortable(current().ready, signal);
    const leave = await queue.enter(neededAtMs, signal);
    if (signal.aborted) leave();
    throwIfAborted(signal);
    return abortable(speakNow(current, request).finally(leave), signal);
  };

  return {
    open: () => current().ready,
    listeners: () => listeners,
    async speak(request, neededAtMs, signal) {
      throwIfAborted(signal);
      listeners += 1;
      try {
        return await speak(request, neededAtMs, signal);
      } finally {
        listeners -= 1;
      }
    },
    async close() {
      closed = true;
      await link?.close();
    },
  };
}

/** The process may have been replaced while the clause waited for its turn. */
async function speakNow(current: () => WorkerClient, request: SpeakRequest): Promise<SpeechPart> {
  const link = current();
  await link.ready;
  return link.speak(request);
}
