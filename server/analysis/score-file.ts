import { throwIfAborted } from "../core/async.ts";
import { WINDOW_SAMPLES } from "./decoding/windows.ts";
import type { Scorers } from "./scorers.ts";
import type { ScoredWindow } from "./verdict.ts";

/** Where a file's windows wait between their decoding and their scoring. */
export type WindowStore = {
  /** Keeps a window. */
  put(index: number, window: Int16Array, signal: AbortSignal): Promise<void>;
  /** Takes windows that were put. Throws an `AnalysisError` (`worker`) if one is gone. */
  take(indexes: readonly number[], signal: AbortSignal): Promise<readonly Int16Array[]>;
};

/** What a file is scored with. */
export type ScoringParts = {
  readonly scorers: Scorers;
  /** In this process's memory if absent. */
  readonly store?: WindowStore;
  /** Called with the number of windows that are done, after each few. */
  readonly onProgress?: (done: number) => void;
};

/** Peaks of no more are silence: -78 dB of full scale. */
const SILENT_PEAK = 4;

/**
 * Scores a file's windows, in order, while they are decoded: as many at once as there are processes, and a
 * few more wait. Throws an `AnalysisError`, or the signal's reason.
 */
export async function scoreFile(
  windows: AsyncIterable<Int16Array>,
  { scorers, store = createLocalWindows(), onProgress }: ScoringParts,
  signal: AbortSignal,
): Promise<readonly ScoredWindow[]> {
  const { maxWindows } = await scorers.open();
  const results: ScoredWindow[] = [];
  const running = new Set<Promise<void>>();
  const failing = new AbortController();
  const limited = AbortSignal.any([signal, failing.signal]);
  let done = 0;
  const finish = (count: number) => {
    done += count;
    onProgress?.(done);
  };
  const score = async (indexes: readonly number[]) => {
    let taken: readonly Int16Array[] = [];
    const take = async () => {
      taken = await store.take(indexes, limited);
      return taken;
    };
    const scores = await scorers.score(take, limited);
    for (const [at, index] of indexes.entries()) {
      const score = scores[at] ?? Number.NaN;
      const samples = taken[at]?.length ?? 0;
      results[index] = Number.isNaN(score) ? { samples, reason: "failed" } : { samples, score };
    }
    finish(indexes.length);
  };
  const start = (indexes: readonly number[]) => {
    const run = score(indexes).finally(() => running.delete(run));
    run.catch((error) => failing.abort(error));
    running.add(run);
  };
  let batch: number[] = [];
  try {
    let index = 0;
    for await (const window of windows) {
      throwIfAborted(limited);
      if (isSilent(window)) {
        results[index] = { samples: window.length, reason: "silent" };
        finish(1);
      } else {
        await store.put(index, window, limited);
        batch.push(index);
      }
      index += 1;
      // Fewer at once than the model takes, where that keeps more processes at work.
      const isFull = batch.length >= maxWindows || window.length < WINDOW_SAMPLES;
      if (!isFull && running.size >= scorers.size) continue;
      if (batch.length > 0) start(batch);
      batch = [];
      if (running.size > scorers.size) await Promise.race(running);
    }
    if (batch.length > 0) start(batch);
    await Promise.all(running);
  } catch (error) {
    failing.abort(error);
    await Promise.allSettled(running);
    throw limited.reason;
  }
  return results;
}

function createLocalWindows(): WindowStore {
  const waiting = new Map<number, Int16Array>();
  return {
    async put(index, window) {
      waiting.set(index, window);
    },
    async take(indexes) {
      return indexes.map((index) => {
        const window = waiting.get(index) as Int16Array;
        waiting.delete(index);
        return window;
      });
    },
  };
}

function isSilent(window: Int16Array): boolean {
  return window.every((sample) => Math.abs(sample) <= SILENT_PEAK);
}
