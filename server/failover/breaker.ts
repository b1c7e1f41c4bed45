import type { ProviderError } from "../core/errors.ts";

/** CLOSED lets calls through, OPEN none, HALF_OPEN one, whose end decides. */
type BreakerState = "CLOSED" | "OPEN" | "HALF_OPEN";

/** When a breaker opens, and for how long. */
export type BreakerOptions = {
  /** Failures in a row that open it. */
  readonly failures?: number;
  /** How long it stays open, unless the provider asked for another time. */
  readonly cooldownMs?: number;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
};

/** Keeps calls from a provider that fails. It is probed by real traffic, never by calls of its own. */
export type Breaker = {
  /** Whether a call may be made now. Each call that may must end in one of the three below. */
  admit(): boolean;
  succeed(): void;
  fail(error: ProviderError): void;
  /** The call was cancelled: it tells nothing of the provider. */
  forget(): void;
  state(): BreakerState;
  /** How long it stays open still; 0 if it is not. */
  cooldownLeftMs(): number;
};

const FAILURES = 5;
const COOLDOWN_MS = 30_000;

/**
 * Makes a closed breaker. Five failures in a row open it for 30 s; a rate limit opens it at once,
 * for as long as the provider asked, and so does a key that does not work, which no second call
 * would mend. Requests that the provider refuses for what they are do not count.
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
      if (!error.retryable && !error.misconfigured && error.fault !== "quota") return;
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
  return error.fault === "rate_limit" || error.fault === "quota" || error.misconfigured;
}
