import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { primaryOf } from "../../core/text/language.ts";
import type { Synthesizer } from "../../models/synthesizer.ts";
import { createTextClauses } from "../english/clauses.ts";
import { normalizeGerman } from "../german/normalize.ts";
import { createClauseVoice } from "../worker/clause-voice.ts";
import { createWorkerPool, type WorkerPool } from "../worker/worker-pool.ts";
import type { LocalLanguage } from "./engine.ts";

/** The model loads in 2 s on two free cores, and several times that on busy ones. */
const loadingMs = 20_000;

/** Options of the `local` tier. */
export type LocalVoiceOptions = {
  /**
   * True to transliterate a text mostly in another script, and to speak every language as if it were
   * English; false to speak what the voices speak.
   */
  readonly transliterate: boolean;
  readonly workerPool: WorkerPool;
  /** The German voice; the tier speaks English alone without it. */
  readonly germanPool?: WorkerPool;
};

/** One worker for every two cores, shared with the gateway; at most three. */
const workers = Math.min(3, Math.max(1, Math.floor(availableParallelism() / 2)));

/**
 * Creates the workers of a language of the `local` tier. A clause takes 0.1 to 0.4 s; a worker that needs
 * 4 s hangs. `cacheFolder` holds the optimized model, which loads in half the time; it need not be
 * writable.
 */
export function createLocalWorkers(
  cacheFolder: string,
  language: LocalLanguage = "en",
): WorkerPool {
  return createWorkerPool({
    provider: "local",
    program: new URL("./worker.ts", import.meta.url),
    args: [resolve(cacheFolder), language],
    readyTimeoutMs: 60_000,
    speakTimeoutMs: 4_000,
    workers: language === "en" ? workers : 1,
    retriesLostClauses: true,
  });
}

/**
 * The tier `local`: neural voices from the packages `@dittli/tts-en` and `@dittli/tts-de`, after which
 * this folder is named. One voice a language, no key, no network. The German one loads with the first
 * text in German.
 */
export function createLocalVoice(options: LocalVoiceOptions): Synthesizer {
  const { transliterate, workerPool, germanPool } = options;
  const clauses = { provider: "local", transliterate };
  const english = createClauseVoice({
    name: "local",
    workerPool,
    loadingMs,
    clausesOf: createTextClauses(clauses),
  });
  const german =
    germanPool &&
    createClauseVoice({
      name: "local",
      workerPool: germanPool,
      loadingMs,
      clausesOf: createTextClauses({ ...clauses, normalize: normalizeGerman }),
    });
  return {
    ...english,
    voices: [],
    ...(!transliterate && { languages: german ? ["en", "de"] : ["en"] }),
    queuedMs: (signal) => (english.queuedMs?.(signal) ?? 0) + (german?.queuedMs?.(signal) ?? 0),
    queueDepth: () => (english.queueDepth?.() ?? 0) + (german?.queueDepth?.() ?? 0),
    synthesize(text, voice, signal) {
      const isGerman = primaryOf(voice.language ?? "en") === "de";
      return ((isGerman && german) || english).synthesize(text, voice, signal);
    },
    async stop() {
      await Promise.all([english.stop?.(), german?.stop?.()]);
    },
  };
}
