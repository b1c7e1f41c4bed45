import { abortable, throwIfAborted } from "../../core/async/abort.ts";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart, Synthesizer } from "../../models/synthesizer.ts";
import type { Priority } from "./queue.ts";
import type { Clause } from "./worker-main.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** Sound is handed on in pieces this long, so that nobody has to work through seconds at a time. */
const partMs = 250;

/**
 * How long a text is heard, about. So long may one wait that is heard after another of its turn: the
 * first texts of other turns go before it.
 */
const ordinaryTextMs = 3_000;

/** A voice that speaks in a worker. */
export type ClauseVoiceOptions = {
  /** The tier. */
  readonly name: string;
  readonly workerPool: WorkerPool;
  /** How long its process may take to load, in milliseconds. */
  readonly loadingMs: number;
  /** How many times as long as other voices it may be waited for. 1 unless said otherwise. */
  readonly timeoutMultiplier?: number;
  /** A text's clauses, made as they are asked for. May throw a `ProviderError`. */
  readonly clausesOf: (text: string) => Iterable<Clause>;
  /** Told when the process that `start` began cannot speak. No call has met that yet. */
  readonly onError?: (error: unknown) => void;
};

/**
 * Creates a voice that speaks clause by clause, in processes of its own. `start` does not wait for
 * them to load; the first `synthesize` does. Only then, and while others are before it, its first
 * part may take longer than that of other voices: a process that hangs is noticed by its worker. It has one speaker: the name and the language
 * that it is asked for are ignored.
 */
export function createClauseVoice(options: ClauseVoiceOptions): Synthesizer {
  const { name, workerPool, loadingMs, timeoutMultiplier = 1, onError, clausesOf } = options;
  let stopped = false;
  return {
    name,
    get firstPartMs() {
      return (workerPool.isReady() ? 0 : loadingMs) + Math.min(workerPool.backlogMs(), loadingMs);
    },
    timeoutMultiplier,
    async start() {
      workerPool.open().catch((error) => {
        if (!stopped) onError?.(error);
      });
    },
    // A process that ended is started again before it is missed.
    prepare: (signal) => abortable(workerPool.open(), signal),
    synthesize(text, { queuePosition = 0, queueKey = Symbol("a text") }, signal) {
      const neededAtMs = performance.now() + queuePosition * ordinaryTextMs;
      return speakText(options, { clauses: clausesOf(text), neededAtMs, queueKey }, signal);
    },
    async stop() {
      stopped = true;
      await workerPool.close();
    },
  };
}

/** Clauses, when the first sound of them is needed, and whose they are. */
type Speech = Priority & { readonly clauses: Iterable<Clause> };

async function* speakText(
  { name, workerPool }: ClauseVoiceOptions,
  { clauses, neededAtMs, queueKey }: Speech,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  throwIfAborted(signal);
  let heardUpToMs = neededAtMs;
  let isSilent = true;
  for (const clause of clauses) {
    throwIfAborted(signal);
    const { pcm, sampleRateHz } = await workerPool.speak(
      clause,
      { neededAtMs: heardUpToMs, queueKey },
      signal,
    );
    heardUpToMs = Math.max(heardUpToMs, performance.now()) + (pcm.length * 1000) / sampleRateHz;
    isSilent = false;
    const step = Math.round((sampleRateHz * partMs) / 1000);
    for (let at = 0; at < pcm.length; at += step) {
      throwIfAborted(signal);
      yield { pcm: pcm.subarray(at, at + step), sampleRateHz };
    }
  }
  if (isSilent) throw new ProviderError(name, "unsupported", "there is nothing to pronounce");
}
