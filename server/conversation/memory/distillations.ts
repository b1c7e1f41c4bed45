import { abortable, TurnCancelled } from "../../core/async.ts";
import type { DistilledTurn } from "./distiller.ts";

/** Distillations that wait or run: those of one device one after another, in the order of their turns. */
export type Distillations = {
  add(turn: DistilledTurn): void;
  /** Drops those of a device: of all its turns, or of those that are meant. */
  drop(deviceId: string, isMeant?: (turnId: string) => boolean): void;
  counts(): {
    readonly distilled: number;
    readonly failed: number;
    readonly dropped: number;
    readonly waiting: number;
  };
  /** Drops all, and takes no more. Resolves when none runs. */
  stop(): Promise<void>;
};

/** What distillations do. */
type DistillationsOptions = {
  readonly run: (turn: DistilledTurn, signal: AbortSignal) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
  readonly onSuccess: () => void;
};

/** Distillations at once. */
const MAX_RUNNING = 4;
/** Distillations that wait; further turns are dropped. */
const MAX_WAITING = 256;
const TIMEOUT_MS = 30_000;

type Job = {
  readonly turn: DistilledTurn;
  readonly dropped: AbortController;
  running?: Promise<void>;
};

/** Makes an empty list of distillations. */
export function createDistillations(options: DistillationsOptions): Distillations {
  const counts = { distilled: 0, failed: 0, dropped: 0 };
  const jobs = new Set<Job>();
  let isStopped = false;

  const isRunning = (job: Job) => job.running !== undefined;
  const startSome = () => {
    const running = [...jobs].filter(isRunning);
    const busy = new Set(running.map(({ turn }) => turn.deviceId));
    let free = MAX_RUNNING - running.length;
    for (const job of jobs) {
      if (free <= 0) return;
      if (isRunning(job) || busy.has(job.turn.deviceId)) continue;
      busy.add(job.turn.deviceId);
      free -= 1;
      job.running = run(job);
    }
  };
  const run = async (job: Job) => {
    const late = setTimeout(() => job.dropped.abort(new Error("no answer in time")), TIMEOUT_MS);
    try {
      await abortable(options.run(job.turn, job.dropped.signal), job.dropped.signal);
      counts.distilled += 1;
      options.onSuccess();
    } catch (error) {
      if (error instanceof TurnCancelled) return;
      counts.failed += 1;
      options.onFailure(error);
    } finally {
      clearTimeout(late);
      jobs.delete(job);
      startSome();
    }
  };
  const drop = (job: Job, reason: "interrupted" | "shutdown") => {
    counts.dropped += 1;
    job.dropped.abort(new TurnCancelled(reason));
    if (!isRunning(job)) jobs.delete(job);
  };
  return {
    add(turn) {
      if (isStopped || jobs.size >= MAX_WAITING) {
        counts.dropped += 1;
        return;
      }
      jobs.add({ turn, dropped: new AbortController() });
      startSome();
    },
    drop(deviceId, isMeant = () => true) {
      for (const job of jobs) {
        const { turn, dropped } = job;
        const isOwn = turn.deviceId === deviceId && isMeant(turn.turnId);
        if (isOwn && !dropped.signal.aborted) drop(job, "interrupted");
      }
    },
    counts: () => ({ ...counts, waiting: jobs.size }),
    async stop() {
      isStopped = true;
      for (const job of jobs) if (!job.dropped.signal.aborted) drop(job, "shutdown");
      await Promise.all([...jobs].map(({ running }) => running));
    },
  };
}
