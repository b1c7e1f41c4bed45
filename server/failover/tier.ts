import { onAbort } from "../core/async.ts";
import { ProviderError } from "../core/errors.ts";
import { type Breaker, createBreaker } from "./breaker.ts";

/** A provider at its place in a chain, with its guards. */
export type Tier<Provider> = {
  readonly provider: Provider;
  readonly breaker: Breaker;
  /** Of a call that is made now. `share` is its part of the turn's time, if others can follow. */
  timeouts(share?: TimeShare): Timeouts;
};

/** A tier's part of what is left of a turn's time, in milliseconds. */
export type TimeShare = Pick<Timeouts, "firstPartMs" | "idleMs">;

/**
 * Puts a provider at a place in a chain, with a breaker of its own. A provider that is slow, or has to
 * load first, gets more time for as long as it says so.
 */
export function createTier<
  Provider extends {
    readonly name: string;
    readonly timeoutMultiplier?: number;
    queuedMs?(signal: AbortSignal): number;
  },
>(provider: Provider, timeouts: Timeouts, breaker: Breaker = createBreaker()): Tier<Provider> {
  return {
    provider,
    breaker,
    timeouts(share = timeouts) {
      const { timeoutMultiplier = 1 } = provider;
      return {
        firstPartMs: Math.min(timeouts.firstPartMs, share.firstPartMs) * timeoutMultiplier,
        idleMs: Math.min(timeouts.idleMs, share.idleMs) * timeoutMultiplier,
        totalMs: timeouts.totalMs * timeoutMultiplier,
        ...(provider.queuedMs && { queuedMs: provider.queuedMs }),
      };
    },
  };
}

/** The error of a tier that is not called. */
export function circuitOpen({ provider, breaker }: Tier<{ readonly name: string }>): ProviderError {
  const seconds = Math.ceil(breaker.cooldownLeftMs() / 1000);
  return new ProviderError(provider.name, "server", `circuit open; retrying in ${seconds} s`);
}

/** How long a provider may take, in milliseconds. Only waits count, not the reader's own time. */
export type Timeouts = {
  /** To the first part. */
  readonly firstPartMs: number;
  /** From one part to the next. */
  readonly idleMs: number;
  /** For all of one call. */
  readonly totalMs: number;
  /** Milliseconds that the call with this signal has waited in the provider's own queue: not counted. */
  readonly queuedMs?: (signal: AbortSignal) => number;
};

/** The time limits of one call. */
export type TimedCall = {
  /** Fires on a timeout, on `close` and when the caller's signal fires. */
  readonly signal: AbortSignal;
  /**
   * Reads the next of the parts. Rejects with a `timeout`, or with the caller's reason as soon as its
   * signal fires: a provider that ignores its signal is left behind.
   */
  next<Part>(parts: AsyncIterator<Part>): Promise<IteratorResult<Part>>;
  /** Ends the call, wherever it is. */
  close(): void;
};

/** Starts one call. Not a generator: every part of a voice passes, and would pay for the layer. */
export function startCall(provider: string, timeouts: Timeouts, signal: AbortSignal): TimedCall {
  const call = new AbortController();
  const watch = createWatch(timeouts, {
    queuedMs: () => timeouts.queuedMs?.(call.signal) ?? 0,
    onTimeout: (limitMs) =>
      call.abort(new ProviderError(provider, "timeout", `no part for ${Math.round(limitMs)} ms`)),
  });
  const forget = onAbort(signal, (reason) => call.abort(reason));
  const forgetCall = onAbort(call.signal, (reason) => watch.cut(reason));
  let reading: AsyncIterator<unknown> | undefined;
  return {
    signal: call.signal,
    next(parts) {
      reading = parts;
      return watch.over(parts.next());
    },
    close() {
      watch.stop();
      forget();
      forgetCall();
      call.abort(new Error("the call is over"));
      // Not awaited: if the provider hangs, this would hang too.
      reading?.return?.()?.catch(() => undefined);
    },
  };
}

/**
 * Times one wait after another. One timer serves them all, because a voice comes in hundreds of
 * parts.
 */
function createWatch(
  timeouts: Timeouts,
  {
    queuedMs,
    onTimeout,
  }: { readonly queuedMs: () => number; readonly onTimeout: (limitMs: number) => void },
) {
  let leftMs = timeouts.totalMs;
  let limitMs = Math.min(timeouts.firstPartMs, leftMs);
  let begunMs: number | undefined;
  let queuedBeforeMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = 0;
  let reject: (reason: unknown) => void = () => undefined;
  let cutBy: { reason: unknown } | undefined;

  /** Sets the timer, unless one is due earlier. That one looks again. */
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
    const dueMs = begunMs + limitMs + queuedMs() - queuedBeforeMs;
    if (nowMs < dueMs) arm(nowMs, dueMs);
    else onTimeout(limitMs);
  };
  const settle = () => {
    leftMs -= performance.now() - (begunMs ?? 0) - (queuedMs() - queuedBeforeMs);
    limitMs = Math.min(timeouts.idleMs, leftMs);
    begunMs = undefined;
  };
  return {
    /** Ends the present wait, and every later one, with `reason`. */
    cut(reason: unknown) {
      cutBy = { reason };
      reject(reason);
    },
    /** Waits for the step, or for a cut. */
    over<Step>(next: Promise<Step>): Promise<Step> {
      begunMs = performance.now();
      queuedBeforeMs = queuedMs();
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
