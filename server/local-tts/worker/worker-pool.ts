import { abortable, onAbort, throwIfAborted } from "../../core/async/abort.ts";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart } from "../../models/synthesizer.ts";
import { createQueue, type Need } from "./queue.ts";
import { startWorker, type WorkerClient, WorkerLost, type WorkerOptions } from "./worker-client.ts";
import type { SpeakRequest } from "./worker-main.ts";

/** Where a voice of this machine speaks: its processes, one clause at a time in each, and the queue. */
export type WorkerPool = {
  /** Starts the processes that are missing. Resolves when the voice can speak. */
  open(): Promise<void>;
  /**
   * Speaks a clause, as soon as a process is ready and it is this clause's turn. Throws a
   * `ProviderError`, or the signal's reason at once, though a run then still ends unheard. A clause
   * that was cancelled before its turn is never begun.
   */
  speak(request: SpeakRequest, need: Need, signal: AbortSignal): Promise<SpeechPart>;
  /** Calls of `speak` that wait for their turn or their sound. */
  readonly listeners: () => number;
  /** True if a process can speak. */
  readonly isReady: () => boolean;
  /** How long a new clause waits for those before it, about, in milliseconds. */
  readonly backlogMs: () => number;
  /** Ends the processes. Clauses that wait or are being spoken fail. */
  close(): Promise<void>;
};

/** What a worker is made with. */
export type WorkerPoolOptions = WorkerOptions & {
  /** Processes; 1 if absent. Further ones are started when the first can speak. */
  readonly workers?: number;
  /**
   * True if a clause whose process was lost is spoken again by the next that is ready, once. For a
   * voice that loads in a second or two.
   */
  readonly speaksAgain?: boolean;
  /**
   * Milliseconds that others wait for a run that was cancelled before its process is ended and
   * started anew. Never, if absent.
   */
  readonly cancelledRunMs?: number;
};

/** Creates a worker with no process in it. `openLink` is for tests. */
export function createWorkerPool(
  options: WorkerPoolOptions,
  openLink: (options: WorkerOptions) => WorkerClient = startWorker,
): WorkerPool {
  return new Workers(options, openLink);
}

class Workers implements WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #openLink: (options: WorkerOptions) => WorkerClient;
  readonly #queue = createQueue<WorkerClient>();
  readonly #links = new Set<WorkerClient>();
  readonly #ready = new Set<WorkerClient>();
  /** Looks at the runs that were cancelled, whenever somebody begins to wait. */
  readonly #cancelledRuns = new Set<() => void>();
  #closed = false;
  #listeners = 0;
  /** The mean length of the latest runs. */
  #runMs = 0;

  constructor(options: WorkerPoolOptions, openLink: (options: WorkerOptions) => WorkerClient) {
    this.#options = options;
    this.#openLink = openLink;
  }

  listeners = () => this.#listeners;
  isReady = () => this.#ready.size > 0;
  backlogMs = () => (this.#queue.waiting() * this.#runMs) / Math.max(1, this.#ready.size);

  async open(): Promise<void> {
    this.#refuseIfClosed();
    if (this.isReady()) return this.#openMissing();
    const [loading = this.#openOne()] = this.#links;
    return loading.ready;
  }

  async speak(request: SpeakRequest, need: Need, signal: AbortSignal): Promise<SpeechPart> {
    throwIfAborted(signal);
    this.#listeners += 1;
    try {
      return await this.#speak(request, need, signal).catch((error) => {
        const isLost = error instanceof WorkerLost && this.#options.speaksAgain && !this.#closed;
        throwIfAborted(signal);
        if (!isLost) throw error;
        return this.#speak(request, need, signal);
      });
    } finally {
      this.#listeners -= 1;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.fail(this.#stopped());
    await Promise.all([...this.#links].map((link) => link.close()));
  }

  async #speak(request: SpeakRequest, need: Need, signal: AbortSignal): Promise<SpeechPart> {
    this.open().catch(() => undefined);
    this.#refuseIfClosed();
    const entered = this.#queue.enter(need, signal);
    for (const look of this.#cancelledRuns) look();
    const { place: link, leave } = await entered;
    if (signal.aborted) leave();
    throwIfAborted(signal);
    const run = this.#run(link, request).finally(leave);
    const forget = onAbort(signal, () => this.#watchCancelled(link, run));
    return abortable(run.finally(forget), signal);
  }

  async #run(link: WorkerClient, request: SpeakRequest): Promise<SpeechPart> {
    const begunMs = performance.now();
    try {
      const part = await link.speak(request);
      this.#runMs += (performance.now() - begunMs - this.#runMs) / 8;
      return part;
    } catch (error) {
      if (error instanceof WorkerLost) this.#replace(link);
      throw error;
    }
  }

  /** Ends the process of a run that nobody hears, once somebody has waited for it for long. */
  #watchCancelled(link: WorkerClient, run: Promise<unknown>): void {
    const { cancelledRunMs } = this.#options;
    if (cancelledRunMs === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const end = () => {
      timer = undefined;
      if (this.#queue.waiting() > 0) this.#replace(link);
    };
    const look = () => {
      if (this.#queue.waiting() > 0) timer ??= setTimeout(end, cancelledRunMs);
    };
    this.#cancelledRuns.add(look);
    look();
    const forget = () => {
      this.#cancelledRuns.delete(look);
      clearTimeout(timer);
    };
    run.then(forget, forget);
  }

  #openMissing(): void {
    const { workers = 1 } = this.#options;
    while (this.#links.size < workers) this.#openOne();
  }

  #openOne(): WorkerClient {
    const link = this.#openLink(this.#options);
    this.#links.add(link);
    link.ready.then(
      () => this.#onReady(link),
      (error) => this.#onLoadingFault(link, error),
    );
    void link.ended.then(() => this.#replace(link));
    return link;
  }

  #onReady(link: WorkerClient): void {
    if (!this.#links.has(link) || this.#closed) return;
    this.#ready.add(link);
    this.#queue.open(link);
    this.#openMissing();
  }

  #onLoadingFault(link: WorkerClient, error: unknown): void {
    this.#drop(link);
    void link.close();
    // The next call tries again; the tier's breaker paces that.
    if (this.#links.size === 0) this.#queue.fail(error);
  }

  /** At once where somebody waits, else when it is next needed. */
  #replace(link: WorkerClient): void {
    if (!this.#links.has(link)) return;
    const wasReady = this.#ready.has(link);
    this.#drop(link);
    void link.close();
    // One that never was of use is not tried again for those who wait: they fail, and say why.
    if (wasReady && !this.#closed && this.#listeners > 0) this.open().catch(() => undefined);
  }

  #drop(link: WorkerClient): void {
    this.#links.delete(link);
    this.#ready.delete(link);
    this.#queue.close(link);
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw this.#stopped();
  }

  #stopped(): ProviderError {
    return new ProviderError(this.#options.provider, "server", "the voice was stopped");
  }
}
