import { throwIfAborted } from "../core/async/abort.ts";
import { NoProviderLeft, ProviderError } from "../core/errors.ts";
import { type Breaker, createBreaker } from "./breaker.ts";
import { type Timeouts, withTimeouts } from "./timeouts.ts";

/** A provider at its place in a chain, with what guards it. */
export type Tier<Provider> = {
  readonly provider: Provider;
  readonly breaker: Breaker;
  /** For a call that is made now. */
  readonly timeouts: Timeouts;
};

/**
 * Puts a provider at a place in a chain, with a breaker of its own. One that says that it is slow, or
 * that it has to load first, gets that time for as long as it says so.
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
    get timeouts() {
      const { firstPartMs = 0, timeoutMultiplier = 1 } = provider;
      return {
        firstPartMs: timeouts.firstPartMs * timeoutMultiplier + firstPartMs,
        idleMs: timeouts.idleMs * timeoutMultiplier,
        totalMs: timeouts.totalMs * timeoutMultiplier + firstPartMs,
      };
    },
  };
}

/** How one call of a tier ended. A cancelled call says nothing about the tier, so it is not told. */
export type TierOutcome = {
  readonly tier: string;
  readonly error?: ProviderError;
};

/** A tier had its first part, after another had failed in the same run. */
export type TierFailover = {
  /** The tier that failed last. */
  readonly from: string;
  readonly to: string;
  /** True if parts had come before, so that the second goes on from there. */
  readonly midway: boolean;
};

/** Who is told what happens to the tiers of a chain. */
export type TierListener = {
  /** Told once for each tier that was asked and not cancelled. */
  readonly onOutcome?: (outcome: TierOutcome) => void;
  readonly onFailover?: (change: TierFailover) => void;
};

/** A part, and the name of the tier that made it. */
export type TierPart<Part> = { readonly tier: string; readonly part: Part };

/** What a chain of tiers is run with. */
export type TierRun<Provider, Part> = TierListener & {
  /** What the tiers make, for the error when none is left: "speech". */
  readonly kind: string;
  /** Best first. */
  readonly tiers: readonly Tier<Provider>[];
  /**
   * Asks one provider. After a tier that failed midway it is asked for what is missing, which the
   * caller knows: it has seen every part. The signal fires when nobody wants the parts any more.
   */
  readonly open: (provider: Provider, signal: AbortSignal) => AsyncIterable<Part>;
  /** True if nothing is missing, though the tier failed: then no other is asked. */
  readonly isWhole?: () => boolean;
};

/**
 * Asks the tiers in order until one brings the run to its end, and yields their parts as one.
 *
 * A tier that fails before its first part is followed by the next, as if it had not been asked. One
 * that fails later hands over: the next goes on from there, and none is started over. A tier that
 * ends without a part has failed. A cancel is not a failure: the signal's reason is thrown. A
 * request that is itself at fault is not tried elsewhere. Tiers whose breaker is open are passed by.
 */
export async function* runTiers<Provider extends { readonly name: string }, Part>(
  run: TierRun<Provider, Part>,
  signal: AbortSignal,
): AsyncGenerator<TierPart<Part>> {
  const causes: ProviderError[] = [];
  const failed: string[] = [];
  let begun = false;
  for (const tier of run.tiers) {
    const call = createCall(run, tier, failed);
    try {
      for await (const part of call.open(signal)) {
        call.see(begun);
        begun = true;
        yield { tier: tier.provider.name, part };
      }
      call.succeed();
      return;
    } catch (cause) {
      throwIfAborted(signal);
      const error = call.fail(cause);
      if (begun && run.isWhole?.()) return;
      if (error.fault === "invalid_request") throw error;
      causes.push(error);
    } finally {
      call.leave();
    }
  }
  throw new NoProviderLeft(run.kind, causes);
}

/**
 * One call of a tier, if its breaker lets it through. The breaker hears how it ended. `failed` holds
 * the tiers that were asked before it in this run.
 */
function createCall<Provider extends { readonly name: string }, Part>(
  run: TierRun<Provider, Part>,
  tier: Tier<Provider>,
  failed: string[],
) {
  const { provider, breaker, timeouts } = tier;
  const { name } = provider;
  const from = failed.at(-1);
  const isAdmitted = breaker.admit();
  // Of a call that was not made there is nothing to tell.
  let told = !isAdmitted;
  let begun = false;
  return {
    open(signal: AbortSignal) {
      if (!isAdmitted) throw coolingDown(tier);
      return withTimeouts(name, (call) => run.open(provider, call), { timeouts, signal });
    },
    /** It had a part. `midway` if others had some before. */
    see(midway: boolean) {
      if (!begun && from !== undefined) run.onFailover?.({ from, to: name, midway });
      begun = true;
    },
    /** It came to its end. Throws if it had no part. */
    succeed() {
      if (!begun) throw new ProviderError(name, "protocol", "ended without an answer");
      told = true;
      breaker.succeed();
      run.onOutcome?.({ tier: name });
    },
    fail(cause: unknown): ProviderError {
      const error = asProviderError(name, cause);
      if (told) return error;
      told = true;
      failed.push(name);
      breaker.fail(error);
      run.onOutcome?.({ tier: name, error });
      return error;
    },
    /** It is over. If that was not told, nobody knows how it would have ended. */
    leave() {
      if (!told) breaker.forget();
    },
  };
}

function coolingDown({ provider, breaker }: Tier<{ readonly name: string }>): ProviderError {
  const seconds = Math.ceil(breaker.cooldownLeftMs() / 1000);
  return new ProviderError(
    provider.name,
    "server",
    `failed before, and is left alone for ${seconds} s more`,
  );
}

/** What a provider did not foresee may hold anything: its message goes no further. */
function asProviderError(tier: string, cause: unknown): ProviderError {
  if (cause instanceof ProviderError) return cause;
  return new ProviderError(tier, "server", "failed unexpectedly", { cause });
}
