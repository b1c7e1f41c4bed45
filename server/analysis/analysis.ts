import { LimitExceeded, NotFound } from "../core/errors.ts";
import type { BlobStore } from "../storage/blobs/blob-store.ts";
import type { Storage } from "../storage/storage-contract.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Analysis, AnalysisStatus, Page, UploadedFile } from "./analysis-contract.ts";
import type { Decoder } from "./decoder.ts";
import { AnalysisError } from "./errors.ts";
import { createTaskFiles, type TaskFiles } from "./files.ts";
import type { Model } from "./model.ts";
import type { TaskQueue } from "./queue.ts";
import { scoreFile } from "./score-file.ts";
import { type AnalysisTask, isOver, taskOf } from "./task.ts";
import { createTaskRunner, type RunnerOptions, type TaskRunner } from "./task-runner.ts";
import { createUploads, type Uploads } from "./uploads.ts";
import { type AnalysisResult, conclude } from "./verdict.ts";

/** What the analysis is made of. */
export type AnalysisOptions = {
  /** Absent: nothing is stored, and nothing can be uploaded. */
  readonly storage?: Pick<Storage, "call"> | undefined;
  readonly blobs: BlobStore;
  readonly decoder: Decoder;
  readonly model: Model;
  readonly queue: TaskQueue;
  readonly openWindows?: RunnerOptions["openWindows"];
  readonly logger: Logger;
  /** Bytes that a file may have. */
  readonly maxBytes: number;
  /** Milliseconds between two looks for tasks that nobody runs; 5,000 if absent. */
  readonly sweepMs?: number;
  readonly leaseMs?: number;
  /** Milliseconds after which a file without a task is deleted; an hour if absent. */
  readonly orphanMs?: number;
};

const MAX_DIRECT = 16;
const SWEEP_MS = 5000;
const SWEPT_TASKS = 100;
const FILE_SWEEP_MS = 3_600_000;
/** How long a watcher waits for news of a task that another gateway runs. */
const WATCH_MS = 500;

/** Makes the analysis. Nothing runs before `start`. */
export function createAnalysis(options: AnalysisOptions): Analysis {
  return new StoredAnalysis(options);
}

class StoredAnalysis implements Analysis {
  readonly maxBytes: number;
  readonly #options: AnalysisOptions;
  readonly #runner: TaskRunner;
  readonly #files: TaskFiles;
  readonly #stopping = new AbortController();
  readonly #uploads: Uploads;
  #direct = 0;
  #sweep: NodeJS.Timeout | undefined;
  #fileSweep: NodeJS.Timeout | undefined;

  constructor(options: AnalysisOptions) {
    const { logger, maxBytes } = options;
    this.#options = options;
    this.maxBytes = maxBytes;
    const storage: Pick<Storage, "call"> = {
      call: (...call) => this.#storage().call(...call),
    };
    const onRetry = (id: string) => void this.#enqueue(id);
    this.#runner = createTaskRunner({ ...options, storage, onRetry });
    const { blobs, orphanMs } = options;
    this.#files = createTaskFiles({ blobs, storage, logger, orphanMs });
    this.#uploads = createUploads({ files: this.#files, decoder: options.decoder });
  }

  async start(): Promise<void> {
    const { model, queue, storage, sweepMs = SWEEP_MS } = this.#options;
    await model.start();
    if (!storage) return;
    await queue.start((id, signal) => this.#runner.run(id, signal));
    const sweep = () => void this.#sweepTasks();
    sweep();
    this.#sweep = setInterval(sweep, sweepMs).unref();
    const sweepFiles = () => void this.#sweepFiles();
    sweepFiles();
    this.#fileSweep = setInterval(sweepFiles, FILE_SWEEP_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    clearInterval(this.#fileSweep);
    this.#stopping.abort(new AnalysisError("unavailable", "the gateway is stopping"));
    await this.#options.queue.stop();
    await this.#options.model.close();
    this.#options.blobs.close();
  }

  status(): AnalysisStatus {
    const { storage, model, queue } = this.#options;
    return {
      state: storage ? "ok" : "off",
      model: model.status(),
      queue: queue.status(),
      ...this.#runner.counts(),
    };
  }

  async upload(file: UploadedFile, signal: AbortSignal): Promise<AnalysisTask> {
    const storage = this.#storage();
    this.#check(file.bytes);
    await this.#options.model.get();
    const id = await this.#uploads.take(file, storage, signal);
    await this.#enqueue(id);
    const task = await this.find(file.deviceId, id, signal);
    if (!task) throw new NotFound("the task was deleted");
    return task;
  }

  async find(deviceId: string, id: string, signal: AbortSignal): Promise<AnalysisTask | undefined> {
    const row = await this.#storage().call("findAnalysis", { deviceId, id }, signal);
    return row && this.#withProgress(taskOf(row));
  }

  async *watch(deviceId: string, id: string, signal: AbortSignal): AsyncGenerator<AnalysisTask> {
    const limited = AbortSignal.any([signal, this.#stopping.signal]);
    let told = "";
    for (;;) {
      const news = this.#nextNews(id, limited);
      const task = await this.find(deviceId, id, limited);
      if (!task) return news.forget();
      const { status, progress } = task;
      const state = `${status} ${progress.done}`;
      if (state !== told) yield task;
      told = state;
      if (isOver(task)) return news.forget();
      await news.come;
      limited.throwIfAborted();
    }
  }

  async list(deviceId: string, { limit, before }: Page, signal: AbortSignal) {
    const page = { deviceId, limit, ...(before !== undefined && { before }) };
    const rows = await this.#storage().call("listAnalyses", page, signal);
    return rows.map((row) => this.#withProgress(taskOf(row)));
  }

  async file(deviceId: string, id: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const task = await this.find(deviceId, id, signal);
    return task && (await this.#files.get(task.blobId, signal));
  }

  async remove(deviceId: string, id: string | undefined, signal: AbortSignal): Promise<number> {
    const which = { deviceId, ...(id !== undefined && { id }) };
    const removed = await this.#storage().call("removeAnalyses", which, signal);
    for (const task of removed) {
      await this.#options.queue.remove(task.id).catch(() => undefined);
      await this.#runner.cancel(task.id);
    }
    for (const blobId of new Set(removed.map((task) => task.blobId))) {
      await this.#files.deleteUnused(blobId, signal);
    }
    return removed.length;
  }

  async analyze(bytes: Uint8Array, signal: AbortSignal): Promise<AnalysisResult> {
    this.#check(bytes);
    if (this.#direct >= MAX_DIRECT)
      throw new LimitExceeded("gateway busy; retry in 10 s", "analyses", 10_000);
    this.#direct += 1;
    const limited = AbortSignal.any([signal, this.#stopping.signal]);
    try {
      const { description, scorers } = await this.#options.model.get();
      const windows = this.#options.decoder.windows(bytes, limited);
      const scored = await scoreFile(windows, { scorers }, limited);
      return conclude(scored, description);
    } finally {
      this.#direct -= 1;
    }
  }

  owns(deviceId: string, blobId: string, signal: AbortSignal): Promise<boolean> {
    return this.#storage().call("ownsAnalyzedFile", { deviceId, blobId }, signal);
  }

  stored(blobId: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#files.get(blobId, signal);
  }

  #storage(): Pick<Storage, "call"> {
    const { storage } = this.#options;
    if (storage) return storage;
    throw new AnalysisError("unavailable", "nothing is stored: STORAGE_ENABLED is false");
  }

  #check({ length }: Uint8Array): void {
    if (length === 0) throw new AnalysisError("invalid", "the file is empty");
    if (length > this.maxBytes) {
      throw new AnalysisError("too_large", `the file has more than ${this.maxBytes} bytes`);
    }
  }

  /** What runs here is known sooner than its row. */
  #withProgress(task: AnalysisTask): AnalysisTask {
    const done = this.#runner.progressOf(task.id);
    const isRunning = task.status === "PROCESSING" && done !== undefined;
    return isRunning ? { ...task, progress: { ...task.progress, done } } : task;
  }

  /** Resolves when something may be new of a task, or the signal fires. */
  #nextNews(id: string, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, WATCH_MS);
    const stop = this.#runner.onChange((changed) => {
      if (changed === id) resolve();
    });
    signal.addEventListener("abort", () => resolve(), { once: true });
    const forget = () => {
      stop();
      clearTimeout(timer);
    };
    void promise.then(forget);
    return { come: promise, forget };
  }

  /** If the queue cannot be reached, the sweep adds the task later. */
  async #enqueue(id: string): Promise<void> {
    await this.#options.queue.add(id).catch((error: Error) => {
      this.#options.logger.warn({ error: error.message }, "task not queued; the next sweep does");
    });
  }

  /** Adds what is open: of gateways that died, and what the queue has lost. */
  async #sweepTasks(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      const open = { now: Date.now(), limit: SWEPT_TASKS };
      for (const id of await this.#storage().call("findOpenAnalyses", open, signal)) {
        await this.#enqueue(id);
      }
    } catch {
      // The database is down, and says so itself.
    }
  }

  async #sweepFiles(): Promise<void> {
    try {
      await this.#files.sweep(this.#stopping.signal);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#options.logger.warn({ error: (error as Error).message }, "files not swept");
    }
  }
}
