import { availableParallelism, totalmem } from "node:os";
import { resolve } from "node:path";
import type { Synthesizer } from "../../models/synthesizer.ts";
import { createTextClauses } from "../english/clauses.ts";
import { createClauseVoice } from "../worker/clause-voice.ts";
import { createWorkerPool, type WorkerPool } from "../worker/worker-pool.ts";
import type { KokoroChoice } from "./files.ts";

/** The model takes 5 s to load on two free cores, and several times that on busy ones. */
const loadingMs = 30_000;

/**
 * A long clause takes 4 s on two free cores, and is heard for longer than that: a listener who has the
 * one before in hand misses nothing while others would be given up.
 */
const timeoutMultiplier = 3;

/** What Kokoro is created with. */
export type KokoroVoiceOptions = {
  /** Whether a text mostly in another script is romanised and spoken; else it is refused. */
  readonly transliterate: boolean;
  /** Told when it cannot speak, before a call has met that: the files are missing or wrong. */
  readonly onError?: (error: unknown) => void;
  readonly workerPool: WorkerPool;
};

/** A process takes a gigabyte and two cores. */
const workers = availableParallelism() >= 8 && totalmem() >= 16 * 2 ** 30 ? 2 : 1;

/** How long others wait for a run that nobody hears. Nearly all end sooner; to load anew takes 5 s. */
const cancelledRunTimeoutMs = 1_500;

/** Creates Kokoro's worker. A clause takes a second; a process that needs 4.5 s hangs. */
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
 * Kokoro, the better and slower voice of this machine: English, no key and no network. Its files do
 * not come with Parley. They are looked for, and verified by their hashes, in its own process whenever
 * that is opened; until they are there every call fails as misconfigured.
 */
export function createKokoroVoice(options: KokoroVoiceOptions): Synthesizer {
  const { transliterate, onError, workerPool } = options;
  return createClauseVoice({
    name: "kokoro",
    workerPool,
    loadingMs,
    timeoutMultiplier,
    clausesOf: createTextClauses({ provider: "kokoro", transliterate }),
    ...(onError && { onError }),
  });
}
