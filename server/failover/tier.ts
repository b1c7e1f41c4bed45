import { onAbort } from "../core/async.ts";
import { ProviderError } from "../core/errors.ts";

/** A provider at its place in a chain, with its guards. */
export type Tier<Provider> = {
  readonly provider: Provider;
  readonly breaker: Breaker;
  /** Of a call that is made now. */
  readonly timeouts: Timeouts;
};

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
    get timeouts() {
      const { timeoutMultiplier = 1 } = provider;
      return {
        firstPartMs: timeouts.firstPartMs * timeoutMultiplier,
        idleMs: timeouts.idleMs * timeoutMultiplier,
        totalMs: timeouts.totalMs * timeoutMultiplier,
        ...(provider.queuedMs && { queuedMs: provider.queuedMs }),
      };
    },
  };
}

/** CLOSED admits all calls, OPEN none, HALF_OPEN one, whose outcome decides. */
type BreakerState = "CLOSED" | "OPEN" | "HALF_OPEN";

/** When a breaker opens, and for how long. */
export type BreakerOptions = {
  /** Failures in a row that open it. */
  readonly failures?: number;
  /** Milliseconds that it stays open, unless the provider named another time. */
  readonly cooldownMs?: number;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
};

/** A circuit breaker. Real traffic probes the provider; the breaker makes no calls of its own. */
export type Breaker = {
  /** Whether a call may be made now. Each admitted call must end in one of the three below. */
  admit(): boolean;
  succeed(): void;
  fail(error: ProviderError): void;
  /** The call was cancelled, which says nothing about the provider. */
  forget(): void;
  state(): BreakerState;
  /** Milliseconds until it admits a call; 0 unless it is open. */
  cooldownLeftMs(): number;
};

const FAILURES = 5;
const COOLDOWN_MS = 30_000;

/**
 * Makes a closed breaker. Five failures in a row open it for 30 s. A rate limit opens it at once, for as
 * long as the provider asked, and so does a wrong key, which no second call would fix. Errors that are
 * the request's own do not count.
 */
export function createBreaker(options: BreakerOptions = {}): Breaker {
  const { failures = FAILURES, cooldownMs = COOLDOWN_MS, now = () => performance.now() } = options;
  let inARow = 0;
  let openUntilMs: number | undefined;
  let isProbing = false;

  const cooldownLeftMs = () => Math.max(0, (openUntilMs ?? 0) - now());
  const state = (): BreakerState => {
    if (openUntilMs === undefined) return "CLOSED";
    return cooldownLeftMs() > 0 ? "OPEN" : "HALF_OPEN";
  };
  return {
    state,
    cooldownLeftMs,
    admit() {
      if (state() === "CLOSED") return true;
      if (state() === "OPEN" || isProbing) return false;
      isProbing = true;
      return true;
    },
    succeed() {
      isProbing = false;
      inARow = 0;
      openUntilMs = undefined;
    },
    fail(error) {
      const failedProbe = isProbing;
      isProbing = false;
      if (!error.retryable && !error.misconfigured && error.kind !== "quota") return;
      inARow += 1;
      if (failedProbe || inARow >= failures || opensAtOnce(error)) {
        openUntilMs = now() + (error.retryAfterMs ?? cooldownMs);
      }
    },
    forget() {
      isProbing = false;
    },
  };
}

function opensAtOnce(error: ProviderError): boolean {
  return error.kind === "rate_limit" || error.kind === "quota" || error.misconfigured;
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
