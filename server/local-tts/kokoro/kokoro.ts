import { resolve } from "node:path";
import type { Synthesizer } from "../../models/synthesizer.ts";
import { createTextClauses } from "../english/text-clauses.ts";
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

/** Creates Kokoro's worker. Its limits are far above what a busy machine needs. */
export function createKokoroWorkers({ voice, dir }: KokoroChoice): WorkerPool {
  return createWorkerPool({
    provider: "kokoro",
    program: new URL("./worker.ts", import.meta.url),
    args: dir === undefined ? [voice] : [voice, resolve(dir)],
    readyTimeoutMs: 120_000,
    speakTimeoutMs: 120_000,
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
