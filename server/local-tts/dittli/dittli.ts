import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { Synthesizer } from "../../models/synthesizer.ts";
import { createTextClauses } from "../english/clauses.ts";
import { createClauseVoice } from "../worker/clause-voice.ts";
import { createWorkerPool, type WorkerPool } from "../worker/worker-pool.ts";

/** The model loads in 2 s on two free cores, and several times that on busy ones. */
const loadingMs = 20_000;

/** Options of the `local` tier. */
export type LocalVoiceOptions = {
  /** True to transliterate a text mostly in another script; false to refuse it. */
  readonly transliterate: boolean;
  readonly workerPool: WorkerPool;
};

/** One worker for every two cores, shared with the gateway; at most three. */
const workers = Math.min(3, Math.max(1, Math.floor(availableParallelism() / 2)));

/**
 * Creates the workers of the `local` tier. A clause takes 0.1 to 0.4 s; a worker that needs 4 s hangs.
 * `cacheFolder` holds the optimized model, which loads in half the time; it need not be writable.
 */
export function createLocalWorkers(cacheFolder: string): WorkerPool {
  return createWorkerPool({
    provider: "local",
    program: new URL("./worker.ts", import.meta.url),
    args: [resolve(cacheFolder)],
    readyTimeoutMs: 60_000,
    speakTimeoutMs: 4_000,
    workers,
    retriesLostClauses: true,
  });
}

/**
 * The tier `local`: an English neural voice from the package `@dittli/tts-en`, after which this folder is
 * named. One voice, no key, no network.
 */
export function createLocalVoice({ transliterate, workerPool }: LocalVoiceOptions): Synthesizer {
  return createClauseVoice({
    name: "local",
    workerPool,
    loadingMs,
    clausesOf: createTextClauses({ provider: "local", transliterate }),
  });
}
