import { onAbort } from "../core/async/abort.ts";
import { ProviderError } from "../core/errors.ts";

/** How long a provider may keep us waiting. Only waiting counts: a slow reader costs it nothing. */
export type Timeouts = {
  /** To the first part. */
  readonly firstPartMs: number;
  /** From one part to the next. */
  readonly idleMs: number;
  /** For all of one call. */
  readonly totalMs: number;
};

/**
 * Yields the parts of one call of a provider. Throws a `timeout` when it is silent for too long,
 * whether or not it listens to its signal; `open` gets one that fires then, and when the reader
 * leaves, and when `signal` does. Throws the reason of `signal` as soon as that fires.
 */
export function withTimeouts<Part>(
  provider: string,
  open: (signal: AbortSignal) => AsyncIterable<Part>,
  { timeouts, signal }: { readonly timeouts: Timeouts; readonly signal: AbortSignal },
): AsyncGenerator<Part, undefined> {
  let call: Call<Part> | undefined;
  // Opened by the first pull, as a generator's is.
  const opened = () => {
    call ??= openCall(provider, open, { timeouts, signal });
    return call;
  };
  return {
    next: () => opened().next(),
    async return() {
      call?.close();
      return { done: true, value: undefined };
    },
    async throw(error) {
      call?.close();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      call?.close();
    },
  };
}

type Call<Part> = { next(): Promise<IteratorResult<Part, undefined>>; close(): void };

/** An iterator, not a generator: a voice's every part passes through it, and pays for each layer. */
function openCall<Part>(
  provider: string,
  open: (signal: AbortSignal) => AsyncIterable<Part>,
  { timeouts, signal }: { readonly timeouts: Timeouts; readonly signal: AbortSignal },
): Call<Part> {
  const call = new AbortController();
  const watch = createWatch(timeouts, (limitMs) =>
    call.abort(new ProviderError(provider, "timeout", `silent for ${Math.round(limitMs)} ms`)),
  );
  const forget = onAbort(signal, (reason) => call.abort(reason));
  const forgetCall = onAbort(call.signal, (reason) => watch.cut(reason));
  const parts = open(call.signal)[Symbol.asyncIterator]();
  const close = () => {
    watch.stop();
    forget();
    forgetCall();
    call.abort(new Error("the call is over"));
    // Not awaited: a provider that hangs would hang here too.
    parts.return?.()?.catch(() => undefined);
  };
  const end = () => {
    close();
    return { done: true, value: undefined } as const;
  };
  const fail = (error: unknown) => {
    close();
    throw error;
  };
  return {
    next: () => watch.over(parts.next()).then((step) => (step.done ? end() : step), fail),
    close,
  };
}

/**
 * Watches over one wait after another. One timer serves them all, and nothing is made for a wait
 * that ends in time: voices come in hundreds of parts.
 */
function createWatch(timeouts: Timeouts, onTimeout: (limitMs: number) => void) {
  let leftMs = timeouts.totalMs;
  let limitMs = Math.min(timeouts.firstPartMs, leftMs);
  let begunMs: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = 0;
  let reject: (reason: unknown) => void = () => undefined;
  let cutBy: { reason: unknown } | undefined;

  /** Sets the timer, unless one is set that is due before. That one looks again. */
  const arm = (nowMs: number, dueMs: number) => {
    if (timer !== undefined && timerDueMs <= dueMs) return;
    clearTimeout(timer);
    timerDueMs = dueMs;
    timer = setTimeout(look, dueMs - nowMs);
  };
  const look = () => {
    timer = undefined;
    if (begunMs === undefined) return;
    const nowMs = performance.now();
    if (nowMs < begunMs + limitMs) arm(nowMs, begunMs + limitMs);
    else onTimeout(limitMs);
  };
  const settle = () => {
    leftMs -= performance.now() - (begunMs ?? 0);
    limitMs = Math.min(timeouts.idleMs, leftMs);
    begunMs = undefined;
  };
  return {
    /** Ends the present wait, and every later one, with `reason`. */
    cut(reason: unknown) {
      cutBy = { reason };
      reject(reason);
    },
    /** Waits for the step, or for a cut. Not an async function: voices come in hundreds of parts. */
    over<Step>(next: Promise<Step>): Promise<Step> {
      begunMs = performance.now();
      arm(begunMs, begunMs + limitMs);
      return new Promise((resolve, fail) => {
        reject = fail;
        next.then(
          (step) => {
            settle();
            resolve(step);
          },
          (error) => {
            settle();
            fail(error);
          },
        );
        if (cutBy) fail(cutBy.reason);
      });
    },
    stop: () => clearTimeout(timer),
  };
}
