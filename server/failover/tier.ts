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
   * Makes the function that reads the next of the parts, and resolves to what `take` makes of it. One
   * call at a time. It rejects with a `timeout`, or with the caller's reason as soon as its signal fires:
   * a provider that ignores its signal is left behind.
   */
  reader<Part, Taken>(
    parts: AsyncIterator<Part>,
    take: (step: IteratorResult<Part>) => Taken | Promise<Taken>,
  ): () => Promise<Taken>;
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
  const waits = createWaits(watch);
  const forgetCall = onAbort(call.signal, waits.cut);
  let reading: AsyncIterator<unknown> | undefined;
  return {
    signal: call.signal,
    reader(parts, take) {
      reading = parts;
      return waits.over(() => parts.next(), take);
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
  return {
    /** A wait begins. */
    begin() {
      begunMs = performance.now();
      queuedBeforeMs = queuedMs();
      arm(begunMs, begunMs + limitMs);
    },
    /** The wait is over. */
    end() {
      leftMs -= performance.now() - (begunMs ?? 0) - (queuedMs() - queuedBeforeMs);
      limitMs = Math.min(timeouts.idleMs, leftMs);
      begunMs = undefined;
    },
    stop: () => clearTimeout(timer),
  };
}

/** Waits for one step after another, each of which is timed, or for a cut. */
function createWaits({ begin, end }: Pick<ReturnType<typeof createWatch>, "begin" | "end">) {
  let reject: (reason: unknown) => void = () => undefined;
  let cutBy: { reason: unknown } | undefined;
  return {
    /** Ends the present wait, and every later one, with `reason`. */
    cut(reason: unknown) {
      cutBy = { reason };
      reject(reason);
    },
    /** Makes the function that waits for the next step, and resolves to what `take` makes of it. */
    over<Step, Taken>(next: () => Promise<Step>, take: (step: Step) => Taken | Promise<Taken>) {
      // Made once for all steps.
      let resolve: (taken: Taken | Promise<Taken>) => void;
      const wait = (onTaken: typeof resolve, onError: typeof reject) => {
        resolve = onTaken;
        reject = onError;
      };
      const onStep = (step: Step) => {
        end();
        if (cutBy) return;
        // `take` may wait for the next step, which has its own.
        const onTaken = resolve;
        const onFailed = reject;
        try {
          onTaken(take(step));
        } catch (error) {
          onFailed(error);
        }
      };
      const onError = (error: unknown) => {
        end();
        reject(error);
      };
      return (): Promise<Taken> => {
        const step = next();
        begin();
        const taken = new Promise<Taken>(wait);
        step.then(onStep, onError);
        if (cutBy) reject(cutBy.reason);
        return taken;
      };
    },
  };
}
