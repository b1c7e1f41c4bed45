import { randomUUID } from "node:crypto";
import { LimitExceeded, NotFound } from "../core/errors.ts";
import type { NewAnalysis } from "../storage/analysis-calls.ts";
import type { BlobStore } from "../storage/blobs/blob-store.ts";
import type { Storage } from "../storage/storage-contract.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Decoder } from "./decoder.ts";
import type { Measured } from "./decoding/worker.ts";
import { SAMPLE_RATE_HZ, WINDOW_SAMPLES } from "./decoding/windows.ts";
import { AnalysisError } from "./errors.ts";
import { createTaskFiles, type TaskFiles } from "./files.ts";
import type { Model, ModelStatus } from "./model.ts";
import type { TaskQueue } from "./queue.ts";
import { scoreFile } from "./score-file.ts";
import { type AnalysisTask, isOver, taskOf } from "./task.ts";
import { createTaskRunner, type RunnerOptions, type TaskRunner } from "./task-runner.ts";
import { type AnalysisResult, conclude } from "./verdict.ts";

/** A file that a device sends. */
export type UploadedFile = {
  readonly deviceId: string;
  /** As the client calls it; at most 255 characters. It decides nothing. */
  readonly filename: string;
  readonly bytes: Uint8Array;
};

/**
 * Tells whether voices are real: tasks of files that devices send, and files that are in the store already.
 * A device sees its own tasks alone. Everything throws an `AnalysisError`, a `BlobError` or a `StorageError`
 * if it cannot be had now, and the signal's reason.
 */
export type Analysis = {
  /**
   * Checks a file, by decoding all of it, and stores it with its task; both are durable then. Throws an
   * `AnalysisError` if the file cannot be analyzed, and then keeps nothing; `LimitExceeded` if the device has
   * too many tasks that are not done.
   */
  upload(file: UploadedFile, signal: AbortSignal): Promise<AnalysisTask>;
  /** A task of the device's own. */
  find(deviceId: string, id: string, signal: AbortSignal): Promise<AnalysisTask | undefined>;
  /** A task each time that it has come further, until it is over. Ends at once if there is none. */
  watch(deviceId: string, id: string, signal: AbortSignal): AsyncGenerator<AnalysisTask>;
  /** The device's tasks, the latest first, those behind the task `before` if it is given. */
  list(deviceId: string, page: Page, signal: AbortSignal): Promise<readonly AnalysisTask[]>;
  /** The file of a task of the device's own. */
  file(deviceId: string, id: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Cancels a task of the device's own, or all without `id`, and deletes results and files. Returns their number. */
  remove(deviceId: string, id: string | undefined, signal: AbortSignal): Promise<number>;
  /** Analyzes a file that is not stored here. Throws `LimitExceeded` if too many wait. */
  analyze(bytes: Uint8Array, signal: AbortSignal): Promise<AnalysisResult>;
  /** Whether the device has uploaded the file of this id. */
  owns(deviceId: string, blobId: string, signal: AbortSignal): Promise<boolean>;
  /** An uploaded file by its id, whoever sent it. */
  stored(blobId: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Bytes that a file may have. */
  readonly maxBytes: number;
  /** Begins to run tasks. Throws `InvalidModel` if the model that a setting names does not fit. */
  start(): Promise<void>;
  /** Gives tasks in progress back, and ends all processes. */
  stop(): Promise<void>;
  status(): AnalysisStatus;
};

/** Which tasks of a list. */
export type Page = { readonly limit: number; readonly before?: string };

/** What `/status` tells. Counts are since the start. */
export type AnalysisStatus = {
  /** `off`: nothing can be uploaded, because nothing is stored. */
  readonly state: "ok" | "off";
  readonly model: ModelStatus;
  readonly queue: ReturnType<TaskQueue["status"]>;
  readonly completed: number;
  readonly failed: number;
  /** Runs that began anew because a worker died. */
  readonly rerun: number;
};

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

const MAX_OPEN_TASKS = 20;
const MAX_DIRECT = 16;
/** Files that are checked at once. */
const MAX_CHECKS = 2;
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
  readonly #checks = createTurns(MAX_CHECKS);
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

  async upload({ deviceId, filename, bytes }: UploadedFile, signal: AbortSignal): Promise<AnalysisTask> {
    const storage = this.#storage();
    this.#check(bytes);
    await this.#options.model.get();
    const open = await storage.call("countOpenAnalyses", { deviceId }, signal);
    if (open >= MAX_OPEN_TASKS) {
      throw new LimitExceeded(`${MAX_OPEN_TASKS} files of this device wait for their analysis`);
    }
    const measured = await this.#checks(() => this.#options.decoder.measure(bytes, signal), signal);
    const id = randomUUID();
    const row = newRow({ id, deviceId, filename, fileSize: bytes.length }, measured);
    const writer = {
      begin: (blobId: string) =>
        storage.call("addAnalysis", { now: Date.now(), row: { ...row, blobId } }, signal),
      finish: () => storage.call("openAnalysis", { id, now: Date.now() }, signal),
      undo: async () => {
        await storage.call("removeAnalyses", { deviceId, id }, this.#stopping.signal);
      },
    };
    await this.#files.store(bytes, writer, signal);
    await this.#enqueue(id);
    const task = await this.find(deviceId, id, signal);
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
    if (this.#direct >= MAX_DIRECT) throw new LimitExceeded("gateway busy; retry in 10 s", 10_000);
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

type Sent = Pick<NewAnalysis, "id" | "deviceId" | "filename" | "fileSize">;

function newRow(sent: Sent, { format, samples }: Measured): Omit<NewAnalysis, "blobId"> {
  if (samples === 0) throw new AnalysisError("invalid", "the file holds no sound");
  const windowsTotal = Math.ceil(samples / WINDOW_SAMPLES);
  return { ...sent, format, durationSeconds: samples / SAMPLE_RATE_HZ, windowsTotal };
}

/** Lets so many run at once; the others wait in line, until their signal fires. */
function createTurns(most: number) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async <T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      signal.throwIfAborted();
      return await run();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
