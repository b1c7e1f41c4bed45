import { availableParallelism, totalmem } from "node:os";
import { resolve } from "node:path";
import type { Synthesizer } from "../../models/synthesizer.ts";
import { createTextClauses } from "../english/clauses.ts";
import { createClauseVoice } from "../worker/clause-voice.ts";
import { createWorkerPool, type WorkerPool } from "../worker/worker-pool.ts";
import type { KokoroChoice } from "./files.ts";

/** The model loads in 5 s on two free cores, and several times that on busy ones. */
const loadingMs = 30_000;

/** A long clause takes 4 s on two free cores, but its audio is longer, so the listener misses nothing. */
const timeoutMultiplier = 3;

/** Options of the `kokoro` tier. */
export type KokoroVoiceOptions = {
  /** True to transliterate a text mostly in another script; false to refuse it. */
  readonly transliterate: boolean;
  /** Called at the start if it cannot speak: its files are missing or wrong. */
  readonly onError?: (error: unknown) => void;
  readonly workerPool: WorkerPool;
};

/** A worker needs 1 GB of memory and two cores. */
const workers = availableParallelism() >= 8 && totalmem() >= 16 * 2 ** 30 ? 2 : 1;

/** Nearly all runs end sooner; a new worker takes 5 s to load. */
const cancelledRunTimeoutMs = 1_500;

/** Creates Kokoro's workers. A clause takes a second; a worker that needs 4.5 s hangs. */
export function createKokoroWorkers({ voice, dir }: KokoroChoice): WorkerPool {
  return createWorkerPool({
    provider: "kokoro",
    program: new URL("./worker.ts", import.meta.url),
    args: dir === undefined ? [voice] : [voice, resolve(dir)],
    readyTimeoutMs: 120_000,
    speakTimeoutMs: 4_500,
    workers,
    cancelledRunTimeoutMs,
  });
}

/**
 * Kokoro, a better and slower local voice: English, no key, no network. Its files do not come with
 * Parley. Each worker reads and verifies them when it starts. While they are missing, every call fails
 * as misconfigured.
 */
export function createKokoroVoice(options: KokoroVoiceOptions): Synthesizer {
  const { transliterate, onError, workerPool } = options;
  return createClauseVoice({
    name: "kokoro",
    workerPool,
    loadingMs,
    timeoutMultiplier,
    ...(!transliterate && { languages: ["en"] }),
    clausesOf: createTextClauses({ provider: "kokoro", transliterate }),
    ...(onError && { onError }),
  });
}
