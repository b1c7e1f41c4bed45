import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { Synthesizer } from "../../models/synthesizer.ts";
import { createTextClauses } from "../english/clauses.ts";
import { createClauseVoice } from "../worker/clause-voice.ts";
import { createWorkerPool, type WorkerPool } from "../worker/worker-pool.ts";

/** The model takes 2 s to load on two free cores, and several times that on busy ones. */
const loadingMs = 20_000;

/** What the local voice is created with. */
export type LocalVoiceOptions = {
  /** Whether a text mostly in another script is romanised and spoken; else it is refused. */
  readonly transliterate: boolean;
  readonly workerPool: WorkerPool;
};

/** One process on up to three cores, which it and the gateway share; at most three. */
const workers = Math.min(3, Math.max(1, Math.floor(availableParallelism() / 2)));

/**
 * Creates the worker of the local voice. A clause takes 0.1 s to 0.4 s; a process that needs 4 s
 * hangs. In `cacheFolder` the model is kept, ready to be loaded in half the time; it need not be
 * writable.
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

/** The local neural voice: English, one speaker, no key and no network. */
export function createLocalVoice({ transliterate, workerPool }: LocalVoiceOptions): Synthesizer {
  return createClauseVoice({
    name: "local",
    workerPool,
    loadingMs,
    clausesOf: createTextClauses({ provider: "local", transliterate }),
  });
}
