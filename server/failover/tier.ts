import { onAbort } from "../core/async.ts";
import { ProviderError } from "../core/errors.ts";
import { ruleOf } from "../core/outcomes.ts";

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
    readonly firstPartMs?: number;
    readonly timeoutMultiplier?: number;
  },
>(provider: Provider, timeouts: Timeouts, breaker: Breaker = createBreaker()): Tier<Provider> {
  return {
    provider,
    breaker,
    timeouts(share = timeouts) {
      const { firstPartMs = 0, timeoutMultiplier = 1 } = provider;
      const toFirstMs = Math.min(timeouts.firstPartMs, share.firstPartMs);
      return {
        firstPartMs: toFirstMs * timeoutMultiplier + firstPartMs,
        idleMs: Math.min(timeouts.idleMs, share.idleMs) * timeoutMultiplier,
        totalMs: timeouts.totalMs * timeoutMultiplier + firstPartMs,
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
  /** Admits a call, or returns undefined. */
  admit(): AdmittedCall | undefined;
  state(): BreakerState;
  /** Milliseconds until it admits a call; 0 unless it is open. */
  cooldownLeftMs(): number;
};

/** A call that a breaker admitted. It must end in one of these; only the first counts. */
type AdmittedCall = {
  succeed(): void;
  fail(error: ProviderError): void;
  /** It was cancelled, which says nothing about the provider. */
  forget(): void;
};

const FAILURES = 5;
const COOLDOWN_MS = 30_000;
/** However long a provider asks callers to wait: it is asked again after this. */
const LONGEST_COOLDOWN_MS = 5 * 60_000;

/**
 * Makes a closed breaker. Five failures in a row open it for 30 s. What counts, and what opens it at
 * once, `core/outcomes.ts` says. A rate limit opens it for as long as the provider asked, 5 min at most.
 * How a call ends that began before the circuit opened changes no state; it only can prolong the time.
 */
export function createBreaker(options: BreakerOptions = {}): Breaker {
  const { failures = FAILURES, cooldownMs = COOLDOWN_MS, now = () => performance.now() } = options;
  let inARow = 0;
  let openings = 0;
  let openUntilMs: number | undefined;
  let probe: AdmittedCall | undefined;

  const cooldownLeftMs = () => Math.max(0, (openUntilMs ?? 0) - now());
  const state = (): BreakerState => {
    if (openUntilMs === undefined) return "CLOSED";
    return cooldownLeftMs() > 0 ? "OPEN" : "HALF_OPEN";
  };
  const open = ({ retryAfterMs = cooldownMs }: ProviderError) => {
    openings += 1;
    const untilMs = now() + Math.min(retryAfterMs, LONGEST_COOLDOWN_MS);
    openUntilMs = Math.max(openUntilMs ?? 0, untilMs);
  };
  const close = () => {
    inARow = 0;
    openUntilMs = undefined;
  };
  const fail = (error: ProviderError, isProbe: boolean) => {
    inARow += 1;
    if (isProbe || inARow >= failures || ruleOf(error.kind).breaker === "opens") open(error);
  };
  const createCall = (): AdmittedCall => {
    const round = openings;
    let hasEnded = false;
    const end = (settle?: (isProbe: boolean) => void) => {
      if (hasEnded) return;
      hasEnded = true;
      const isProbe = probe === call;
      if (isProbe) probe = undefined;
      // A call that began before the circuit opened does not know how the provider is now.
      if (round === openings) settle?.(isProbe);
    };
    const call: AdmittedCall = {
      succeed: () => end(close),
      fail(error) {
        const { breaker } = ruleOf(error.kind);
        if (breaker === "success") return end(close);
        if (breaker === "ignores") return end();
        if (breaker === "opens" && round !== openings && !hasEnded) open(error);
        end((isProbe) => fail(error, isProbe));
      },
      forget: () => end(),
    };
    return call;
  };
  return {
    state,
    cooldownLeftMs,
    admit() {
      const isHalfOpen = state() === "HALF_OPEN";
      if (state() === "OPEN" || (isHalfOpen && probe)) return undefined;
      const call = createCall();
      if (isHalfOpen) probe = call;
      return call;
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
  const watch = createWatch(timeouts, (limitMs) =>
    call.abort(new ProviderError(provider, "timeout", `no part for ${Math.round(limitMs)} ms`)),
  );
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
function createWatch(timeouts: Timeouts, onTimeout: (limitMs: number) => void) {
  let leftMs = timeouts.totalMs;
  let limitMs = Math.min(timeouts.firstPartMs, leftMs);
  let begunMs: number | undefined;
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
    /** Waits for the step, or for a cut. */
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
