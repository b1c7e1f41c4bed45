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

type Running = { readonly controller: AbortController; done: number; ended: Promise<void> };

/** The task was deleted, or another gateway has it. */
class TaskLost extends Error {}

/** Creates a runner. */
export function createTaskRunner(options: RunnerOptions): TaskRunner {
  const { storage, logger, leaseMs = LEASE_MS } = options;
  const owner = randomUUID();
  const running = new Map<string, Running>();
  const listeners = new Set<(id: string) => void>();
  const counts = { completed: 0, failed: 0, rerun: 0 };
  const { signal: never } = new AbortController();
  const tell = (id: string) => {
    for (const listener of listeners) listener(id);
  };

  const end = async (lease: Lease, reached: AnalysisEnd) => {
    const stands = await storage.call("endAnalysis", { ...lease, ...reached, now: Date.now() }, never);
    if (!stands) return;
    if (reached.status === "PENDING") {
      counts.rerun += 1;
      options.onRetry(lease.id);
    } else counts[reached.status === "COMPLETED" ? "completed" : "failed"] += 1;
  };

  const runClaimed = async (row: AnalysisRow, signal: AbortSignal) => {
    const lease = { id: row.id, owner, run: row.runs };
    const controller = new AbortController();
    const own: Running = { controller, done: 0, ended: Promise.resolve() };
    const renew = async () => {
      const now = Date.now();
      const stretch = { now, leaseUntil: now + leaseMs, windowsDone: own.done };
      const isOwn = await storage.call("renewAnalysis", { ...lease, ...stretch }, never);
      if (!isOwn) controller.abort(new TaskLost());
    };
    // While the database is down the lease runs out, and the task is run again.
    const timer = setInterval(() => void renew().catch(() => undefined), leaseMs / 6);
    const finished = Promise.withResolvers<void>();
    own.ended = finished.promise;
    running.set(row.id, own);
    const limited = AbortSignal.any([signal, controller.signal]);
    const onProgress = (done: number) => {
      own.done = done;
      tell(row.id);
    };
    try {
      const reached = await analyze(row, { ...options, onProgress }, limited).then(
        (result): AnalysisEnd => ({ status: "COMPLETED", result }),
        (error) => endOf(error, row, logger),
      );
      if (controller.signal.aborted) return;
      if (signal.aborted) await storage.call("releaseAnalysis", { ...lease, now: Date.now() }, never);
      else await end(lease, reached);
    } finally {
      clearInterval(timer);
      running.delete(row.id);
      finished.resolve();
      tell(row.id);
    }
  };

  return {
    async run(id, signal) {
      try {
        const now = Date.now();
        const claim = { id, owner, now, leaseUntil: now + leaseMs };
        const row = await storage.call("claimAnalysis", claim, signal);
        if (row) await runClaimed(row, signal);
      } catch (error) {
        if (!signal.aborted) logger.error({ error: (error as Error).message }, "task not run");
      }
    },
    async cancel(id) {
      const own = running.get(id);
      own?.controller.abort(new TaskLost());
      await own?.ended;
    },
    progressOf: (id) => running.get(id)?.done,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    counts: () => ({ ...counts }),
  };
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
