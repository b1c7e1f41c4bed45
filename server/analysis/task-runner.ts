import { randomUUID } from "node:crypto";
import { NotFound } from "../core/errors.ts";
import type { AnalysisEnd, AnalysisRow, Lease } from "../storage/analysis-calls.ts";
import { BlobError, type BlobStore } from "../storage/blobs/blob-store.ts";
import type { Storage } from "../storage/storage-contract.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Decoder } from "./decoder.ts";
import { AnalysisError } from "./errors.ts";
import type { Model } from "./model.ts";
import type { RunTask } from "./queue.ts";
import { scoreFile, type WindowStore } from "./score-file.ts";
import type { TaskStatus } from "./task.ts";
import { type AnalysisResult, conclude } from "./verdict.ts";

/** What tasks are run with. */
export type RunnerOptions = {
  readonly storage: Pick<Storage, "call">;
  readonly blobs: BlobStore;
  readonly decoder: Decoder;
  readonly model: Model;
  readonly logger: Logger;
  /** Opens the place where a task's windows wait; in this process if absent. */
  readonly openWindows?: ((task: string) => WindowStore & { close(): Promise<void> }) | undefined;
  /** Called when a task is to be run again. */
  readonly onRetry: (id: string) => void;
  /** Milliseconds that a gateway which died keeps its tasks from others; 30,000 if absent. */
  readonly leaseMs?: number | undefined;
};

/** Runs tasks. */
export type TaskRunner = {
  readonly run: RunTask;
  /** Ends a task that runs here, because it was deleted. Resolves when it has ended. */
  cancel(id: string): Promise<void>;
  /** Windows done of a task that runs here. */
  progressOf(id: string): number | undefined;
  /** Calls the listener when a task that runs here has come further or ended. Returns what stops that. */
  onChange(listener: (id: string) => void): () => void;
  counts(): { readonly completed: number; readonly failed: number; readonly rerun: number };
};

/** A task whose worker died is run again so often. */
const MAX_RERUNS = 3;
const LEASE_MS = 30_000;
/** How often a lease is prolonged before it would end. */
const RENEWALS = 6;

/** A row is written though the gateway stops; the database's time-out bounds it. */
const { signal: never } = new AbortController();

type Running = {
  readonly controller: AbortController;
  done: number;
  readonly ended: PromiseWithResolvers<void>;
};

/** The task was deleted, or another gateway has it. */
class TaskLost extends Error {}

/** Creates a runner. */
export function createTaskRunner(options: RunnerOptions): TaskRunner {
  return new LeasingRunner(options);
}

class LeasingRunner implements TaskRunner {
  readonly #options: RunnerOptions;
  /** Names this run of the gateway. */
  readonly #owner = randomUUID();
  readonly #running = new Map<string, Running>();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #counts = { completed: 0, failed: 0, rerun: 0 };
  readonly #leaseMs: number;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
  }

  counts = () => ({ ...this.#counts });
  progressOf = (id: string) => this.#running.get(id)?.done;

  run = async (id: string, signal: AbortSignal): Promise<void> => {
    const { storage, logger } = this.#options;
    try {
      const now = Date.now();
      const claim = { id, owner: this.#owner, now, leaseUntil: now + this.#leaseMs };
      const row = await storage.call("claimAnalysis", claim, signal);
      if (row) await this.#runClaimed(row, signal);
    } catch (error) {
      if (!signal.aborted) logger.error({ error: (error as Error).message }, "task not run");
    }
  };

  async cancel(id: string): Promise<void> {
    const own = this.#running.get(id);
    own?.controller.abort(new TaskLost());
    await own?.ended.promise;
  }

  onChange(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async #runClaimed(row: AnalysisRow, signal: AbortSignal): Promise<void> {
    const { storage, logger } = this.#options;
    const lease = { id: row.id, owner: this.#owner, run: row.runs };
    const controller = new AbortController();
    const own: Running = { controller, done: 0, ended: Promise.withResolvers<void>() };
    this.#running.set(row.id, own);
    // While the database is down the lease runs out, and the task is run again.
    const renew = () => void this.#renew(lease, own).catch(() => undefined);
    const timer = setInterval(renew, this.#leaseMs / RENEWALS);
    const onProgress = (done: number) => {
      own.done = done;
      this.#tell(row.id);
    };
    const limited = AbortSignal.any([signal, controller.signal]);
    try {
      const reached = await analyze(row, { ...this.#options, onProgress }, limited).then(
        (result): AnalysisEnd => ({ status: "COMPLETED", result }),
        (error) => endOf(error, row, logger),
      );
      if (controller.signal.aborted) return;
      const now = Date.now();
      if (signal.aborted) await storage.call("releaseAnalysis", { ...lease, now }, never);
      else await this.#end(lease, reached);
    } finally {
      clearInterval(timer);
      this.#running.delete(row.id);
      own.ended.resolve();
      this.#tell(row.id);
    }
  }

  async #renew(lease: Lease, own: Running): Promise<void> {
    const now = Date.now();
    const stretch = { now, leaseUntil: now + this.#leaseMs, windowsDone: own.done };
    const isOwn = await this.#options.storage.call(
      "renewAnalysis",
      { ...lease, ...stretch },
      never,
    );
    if (!isOwn) own.controller.abort(new TaskLost());
  }

  async #end(lease: Lease, reached: AnalysisEnd): Promise<void> {
    const end = { ...lease, ...reached, now: Date.now() };
    const stands = await this.#options.storage.call("endAnalysis", end, never);
    if (!stands) return;
    if (reached.status === "PENDING") {
      this.#counts.rerun += 1;
      this.#options.onRetry(lease.id);
    } else this.#counts[reached.status === "COMPLETED" ? "completed" : "failed"] += 1;
  }

  #tell(id: string): void {
    for (const listener of this.#listeners) listener(id);
  }
}

type RunParts = RunnerOptions & { readonly onProgress: (done: number) => void };

async function analyze(
  row: AnalysisRow,
  { blobs, decoder, model, openWindows, onProgress }: RunParts,
  signal: AbortSignal,
): Promise<AnalysisResult> {
  if (row.runs > MAX_RERUNS + 1) {
    throw new AnalysisError("invalid", "the worker died each time that it read this file");
  }
  const { description, scorers } = await model.get();
  const file = await blobs.get(row.blobId, signal);
  if (!file) throw new NotFound("the file is gone from the object store");
  const store = openWindows?.(row.id);
  try {
    const windows = decoder.windows(file, signal);
    const parts = { scorers, onProgress, ...(store && { store }) };
    return conclude(await scoreFile(windows, parts, signal), description);
  } finally {
    await store?.close();
  }
}

/** What a failure makes of its task. */
function endOf(error: unknown, { runs }: AnalysisRow, logger: Logger): AnalysisEnd {
  const { message, detail } = error as Partial<AnalysisError>;
  if (error instanceof AnalysisError && error.kind === "worker" && runs <= MAX_RERUNS) {
    logger.warn({ error: message, detail, runs }, "a worker died; its task is run again");
    return { status: "PENDING" };
  }
  const status = statusOf(error);
  if (status === "ERROR_INTERNAL") logger.error({ error: message }, "a task failed");
  return { status, message: status === "ERROR_INTERNAL" ? "internal error" : (message ?? "") };
}

function statusOf(error: unknown): TaskStatus {
  if (error instanceof BlobError || error instanceof NotFound) return "ERROR_MINIO_DOWNLOAD";
  if (!(error instanceof AnalysisError)) return "ERROR_INTERNAL";
  return error.kind === "unavailable" ? "ERROR_GRPC_CONNECTION" : "ERROR_PYTHON_PROCESSING";
}
