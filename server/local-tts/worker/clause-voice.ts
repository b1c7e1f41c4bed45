import { abortable, throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart, Synthesizer } from "../../models/synthesizer.ts";
import type { Priority } from "./queue.ts";
import type { Clause } from "./worker-main.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** Audio is yielded in parts of this length, so that no consumer has to process seconds at once. */
const partMs = 250;

/**
 * Estimated duration of a text. A text that is heard after another one of its turn can wait that long
 * while the first texts of other turns are spoken.
 */
const typicalTextMs = 3_000;

/** A queue that is longer takes no further turn, unless the workers are fast enough for one more. */
const longestBacklogMs = 2_000;

/** Options of a voice on a worker pool. */
export type ClauseVoiceOptions = {
  /** The tier's name. */
  readonly name: string;
  readonly workerPool: WorkerPool;
  /** What it speaks; any language if absent. */
  readonly languages?: readonly string[];
  /** How long a worker may take to load. */
  readonly loadingMs: number;
  /** The `timeoutMultiplier` of the voice; 1 if absent. */
  readonly timeoutMultiplier?: number;
  /** Splits a text into clauses, lazily. May throw a `ProviderError`. */
  readonly clausesOf: (text: string) => Iterable<Clause>;
  /** Called when the worker that `start` starts cannot speak. */
  readonly onError?: (error: unknown) => void;
};

/**
 * Creates a voice that speaks clause by clause in worker processes. `start` does not wait for them to
 * load; the first `synthesize` does. While they load, and while others are queued before it, it tells
 * that it waits. The pool detects a worker that hangs. The requested voice and language are
 * ignored: it has one voice.
 */
export function createClauseVoice(options: ClauseVoiceOptions): Synthesizer {
  const {
    name,
    workerPool,
    loadingMs,
    timeoutMultiplier = 1,
    onError,
    clausesOf,
    languages,
  } = options;
  let stopped = false;
  return {
    name,
    queuedMs(signal) {
      const waited = workerPool.waitedMs(signal);
      return waited.queueMs + Math.min(waited.loadingMs, loadingMs);
    },
    queueDepth: workerPool.pendingCalls,
    overloadMs() {
      // A turn is heard at one second of audio a second: so many turns are carried without a gap.
      const carried = workerPool.secondsASecond() ?? Number.POSITIVE_INFINITY;
      const backlogMs = workerPool.backlogMs();
      return workerPool.owners() >= carried && backlogMs > longestBacklogMs ? backlogMs : 0;
    },
    ...(languages && { languages }),
    timeoutMultiplier,
    async start() {
      workerPool.open().catch((error) => {
        if (!stopped) onError?.(error);
      });
    },
    // Restarts a worker that has exited.
    prepare: (signal) => abortable(workerPool.open(), signal),
    synthesize(text, { queuePosition = 0, queueKey = Symbol("text") }, signal) {
      const neededAtMs = performance.now() + queuePosition * typicalTextMs;
      return speakText(options, { clauses: clausesOf(text), neededAtMs, queueKey }, signal);
    },
    async stop() {
      stopped = true;
      await workerPool.close();
    },
  };
}

/** The clauses of a text, and the priority of the first one. */
type Speech = Priority & { readonly clauses: Iterable<Clause> };

async function* speakText(
  { name, workerPool }: ClauseVoiceOptions,
  { clauses, neededAtMs, queueKey }: Speech,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  throwIfAborted(signal);
  let heardUntilMs = neededAtMs;
  let isEmpty = true;
  for (const clause of clauses) {
    throwIfAborted(signal);
    const { pcm, sampleRateHz } = await workerPool.speak(
      clause,
      { neededAtMs: heardUntilMs, queueKey },
      signal,
    );
    heardUntilMs = Math.max(heardUntilMs, performance.now()) + (pcm.length * 1000) / sampleRateHz;
    isEmpty = false;
    const step = Math.round((sampleRateHz * partMs) / 1000);
    for (let at = 0; at < pcm.length; at += step) {
      throwIfAborted(signal);
      yield { pcm: pcm.subarray(at, at + step), sampleRateHz };
    }
  }
  if (isEmpty) throw new ProviderError(name, "unsupported", "nothing to pronounce");
}
