import type { ProviderError } from "../core/errors.ts";
import { ruleOf } from "../core/outcomes.ts";

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
