import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart } from "../../models/synthesizer.ts";
import { createQueue, createWaits, type Priority, type Waited } from "./queue.ts";
import { startWorker, type WorkerClient, WorkerLost, type WorkerOptions } from "./worker-client.ts";
import type { Clause } from "./worker-main.ts";

/** The worker processes of one voice, and the queue for them. A worker speaks one clause at a time. */
export type WorkerPool = {
  /** Starts missing workers. Resolves when one is ready. */
  open(): Promise<void>;
  /**
   * Speaks a clause when it is its turn and a worker is free. Throws a `ProviderError`, or the
   * signal's reason at once; a run that has begun still ends in its worker. A clause cancelled in the
   * queue is never spoken.
   */
  speak(clause: Clause, priority: Priority, signal: AbortSignal): Promise<SpeechPart>;
  /** Calls of `speak` in progress. */
  readonly pendingCalls: () => number;
  /** True if a worker is ready. */
  readonly isReady: () => boolean;
  /** Estimated wait of a new clause in the queue, in milliseconds. */
  readonly backlogMs: () => number;
  /** Seconds of audio that all workers make in a second, as measured; undefined before the first run. */
  readonly secondsASecond: () => number | undefined;
  /** Owners of clauses that wait or are spoken. */
  readonly owners: () => number;
  /** How long the call with this signal has waited, so far, in milliseconds. */
  readonly waitedMs: (signal: AbortSignal) => Waited;
  /** Ends the workers. Pending calls fail. */
  close(): Promise<void>;
};

/** Options of a worker pool. */
export type WorkerPoolOptions = WorkerOptions & {
  /** Number of workers; 1 if absent. The others start when the first is ready. */
  readonly workers?: number;
  /** True to retry, once, a clause whose worker was lost. For voices that load within seconds. */
  readonly retriesLostClauses?: boolean;
  /**
   * How long the queue waits for a cancelled run, in milliseconds, before its worker is replaced.
   * Without it the queue waits until the run ends.
   */
  readonly cancelledRunTimeoutMs?: number;
};

type StartWorker = (options: WorkerOptions) => WorkerClient;

/** Creates a pool without workers. `start` is for tests. */
export function createWorkerPool(
  options: WorkerPoolOptions,
  start: StartWorker = startWorker,
): WorkerPool {
  return new ProcessPool(options, start);
}

class ProcessPool implements WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #start: StartWorker;
  readonly #queue = createQueue<WorkerClient>();
  readonly #workers = new Set<WorkerClient>();
  readonly #ready = new Set<WorkerClient>();
  /** Called when a call joins the queue: checks the cancelled runs. */
  readonly #cancelledRuns = new Set<() => void>();
  #isClosed = false;
  #pendingCalls = 0;
  /** Moving averages of run times, and of the audio that a run makes. */
  #runMs = 0;
  #audioMs = 0;
  /** When the first worker was ready, on the clock of `performance.now()`. */
  #readyAtMs = Number.POSITIVE_INFINITY;
  readonly #waits = createWaits(() => this.#readyAtMs);

  constructor(options: WorkerPoolOptions, start: StartWorker) {
    this.#options = options;
    this.#start = start;
  }

  pendingCalls = () => this.#pendingCalls;
  isReady = () => this.#ready.size > 0;
  owners = () => this.#queue.owners();
  waitedMs = (signal: AbortSignal) => this.#waits.of(signal);
  secondsASecond = () =>
    this.#runMs === 0 ? undefined : (this.#audioMs / this.#runMs) * Math.max(1, this.#ready.size);
  backlogMs = () => (this.#queue.waiting() * this.#runMs) / Math.max(1, this.#ready.size);

  async open(): Promise<void> {
    this.#throwIfClosed();
    if (this.isReady()) return this.#startMissing();
    const [loading = this.#startOne()] = this.#workers;
    return loading.ready;
  }

  async speak(clause: Clause, priority: Priority, signal: AbortSignal): Promise<SpeechPart> {
    throwIfAborted(signal);
    this.#pendingCalls += 1;
    try {
      return await this.#speak(clause, priority, signal).catch((error) => {
        const { retriesLostClauses } = this.#options;
        const mayRetry = error instanceof WorkerLost && retriesLostClauses && !this.#isClosed;
        throwIfAborted(signal);
        if (!mayRetry) throw error;
        return this.#speak(clause, priority, signal);
      });
    } finally {
      this.#pendingCalls -= 1;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#queue.rejectAll(this.#closedError());
    await Promise.all([...this.#workers].map((worker) => worker.close()));
  }

  async #speak(clause: Clause, priority: Priority, signal: AbortSignal): Promise<SpeechPart> {
    this.open().catch(() => undefined);
    this.#throwIfClosed();
    const acquired = this.#waits.during(signal, this.#queue.acquire(priority, signal));
    for (const check of this.#cancelledRuns) check();
    const { slot: worker, release } = await acquired;
    if (signal.aborted) release();
    throwIfAborted(signal);
    const run = this.#run(worker, clause).finally(release);
    const removeListener = onAbort(signal, () => this.#watchCancelled(worker, run));
    return abortable(run.finally(removeListener), signal);
  }

  async #run(worker: WorkerClient, clause: Clause): Promise<SpeechPart> {
    const begunMs = performance.now();
    try {
      const part = await worker.speak(clause);
      this.#note(performance.now() - begunMs, (part.pcm.length * 1000) / part.sampleRateHz);
      return part;
    } catch (error) {
      if (error instanceof WorkerLost) this.#replace(worker);
      throw error;
    }
  }

  #note(runMs: number, audioMs: number): void {
    // The first run is the best that is known.
    const weight = this.#runMs === 0 ? 1 : 1 / 8;
    this.#runMs += (runMs - this.#runMs) * weight;
    this.#audioMs += (audioMs - this.#audioMs) * weight;
  }

  /** Replaces the worker of a cancelled run once the queue has waited too long for it. */
  #watchCancelled(worker: WorkerClient, run: Promise<unknown>): void {
    const { cancelledRunTimeoutMs } = this.#options;
    if (cancelledRunTimeoutMs === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const end = () => {
      timer = undefined;
      if (this.#queue.waiting() > 0) this.#replace(worker);
    };
    const check = () => {
      if (this.#queue.waiting() > 0) timer ??= setTimeout(end, cancelledRunTimeoutMs);
    };
    this.#cancelledRuns.add(check);
    check();
    const stop = () => {
      this.#cancelledRuns.delete(check);
      clearTimeout(timer);
    };
    run.then(stop, stop);
  }

  #startMissing(): void {
    const { workers = 1 } = this.#options;
    while (this.#workers.size < workers) this.#startOne();
  }

  #startOne(): WorkerClient {
    const worker = this.#start(this.#options);
    this.#workers.add(worker);
    worker.ready.then(
      () => this.#onReady(worker),
      (error) => this.#onLoadError(worker, error),
    );
    void worker.ended.then(() => this.#replace(worker));
    return worker;
  }

  #onReady(worker: WorkerClient): void {
    if (!this.#workers.has(worker) || this.#isClosed) return;
    this.#ready.add(worker);
    this.#readyAtMs = Math.min(this.#readyAtMs, performance.now());
    this.#queue.addSlot(worker);
    this.#startMissing();
  }

  #onLoadError(worker: WorkerClient, error: unknown): void {
    this.#remove(worker);
    void worker.close();
    // The next call retries; the tier's circuit breaker limits how often.
    if (this.#workers.size === 0) this.#queue.rejectAll(error);
  }

  /** Starts a new worker at once if a call is pending, else with the next call. */
  #replace(worker: WorkerClient): void {
    if (!this.#workers.has(worker)) return;
    const wasReady = this.#ready.has(worker);
    this.#remove(worker);
    void worker.close();
    // A worker that never was ready is not retried for pending calls: they fail and report why.
    if (wasReady && !this.#isClosed && this.#pendingCalls > 0) this.open().catch(() => undefined);
  }

  #remove(worker: WorkerClient): void {
    this.#workers.delete(worker);
    this.#ready.delete(worker);
    this.#queue.removeSlot(worker);
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw this.#closedError();
  }

  #closedError(): ProviderError {
    return new ProviderError(this.#options.provider, "server", "the voice was stopped");
  }
}
