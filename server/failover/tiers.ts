import { throwIfAborted } from "../core/async.ts";
import { NoProviderLeft, ProviderError } from "../core/errors.ts";
import type { TierFailover, TierOutcome } from "../telemetry/activity.ts";
import { startCall, type Tier, type TimedCall } from "./tier.ts";

/** Listens to the tiers of a chain. */
export type TierListener = {
  /** Called once for each call that was made and not cancelled. */
  readonly onOutcome?: (outcome: TierOutcome) => void;
  readonly onFailover?: (failover: TierFailover) => void;
  /** A voice without words speaks a text, as every other is down. */
  readonly onLastResort?: (tier: string) => void;
};

/** One call of a provider, and what becomes of its parts. All but `parts` is synchronous. */
export type TierCall<Part, Out> = {
  readonly parts: AsyncIterable<Part>;
  /** Takes a part and returns what is ready. */
  push(part: Part): readonly Out[];
  /** The provider has ended. Throws a `ProviderError` if it ended too early. */
  end(): readonly Out[];
  /** The provider has failed, perhaps in `end`. Returns what counts of what it had sent. */
  fail(): readonly Out[];
  /** True once a part counts, returned or not. */
  hasBegun(): boolean;
};

/** A run of a chain of tiers. */
export type TierRun<Provider, Part, Out> = TierListener & {
  /** What the tiers make, for the error when none is left: "speech". */
  readonly kind: string;
  /** Best first. */
  readonly tiers: readonly Tier<Provider>[];
  /**
   * Calls one provider. After a tier that failed midway it asks for what is missing, which the caller
   * knows: every part went through it. The signal fires when nobody wants the parts any more.
   */
  readonly open: (provider: Provider, signal: AbortSignal) => TierCall<Part, Out>;
  /** Whether a tier can make what is missing now. Every tier can, if absent. */
  readonly canOpen?: (provider: Provider) => boolean;
  /** True if nothing is missing although the tier failed: then no other is called. */
  readonly isWhole?: () => boolean;
  /** What is left when the run is over, and before it throws. */
  readonly flush?: () => readonly Out[];
};

/**
 * Calls the tiers in order until one ends, and yields what becomes of each part, never none.
 *
 * If a tier fails before its first part, the next is called as if it had not been. If it fails later
 * it hands over: the next continues from there, and none is started over. A tier that ends without a
 * part has failed. A cancel is not a failure: the signal's reason is thrown. An `invalid_request` is
 * not tried elsewhere. Tiers with an open circuit are skipped.
 */
export async function* runTiers<Provider extends { readonly name: string }, Part, Out>(
  run: TierRun<Provider, Part, Out>,
  signal: AbortSignal,
): AsyncGenerator<readonly Out[]> {
  const progress: Progress = { begun: false, isDone: false, causes: [] };
  for (const tier of openable(run)) {
    const call = createCall(run, tier, progress);
    try {
      call.open(signal);
      for (let ready = await call.next(); ready; ready = await call.next()) yield ready;
      call.succeed();
    } catch (cause) {
      throwIfAborted(signal);
      const last = call.fail(cause);
      if (last) yield last;
    } finally {
      call.close();
    }
    if (progress.isDone || isRefused(progress)) break;
  }
  const rest = orNone(run.flush?.());
  if (rest) yield rest;
  if (!progress.isDone) throw errorOf(run, progress);
}

/** The tiers that can make what is missing when their turn comes. */
function* openable<Provider>(
  run: Pick<TierRun<Provider, never, never>, "tiers" | "canOpen">,
): Generator<Tier<Provider>> {
  for (const tier of run.tiers) if (run.canOpen?.(tier.provider) !== false) yield tier;
}

/** What the calls of one run know of each other. */
type Progress = {
  /** A part of any call counts. */
  begun: boolean;
  /** Nothing is missing. */
  isDone: boolean;
  /** The tier that was called and failed last. */
  failed?: string;
  /** Why each tier was of no use so far. */
  readonly causes: ProviderError[];
};

function isRefused({ causes }: Progress): boolean {
  return causes.at(-1)?.kind === "invalid_request";
}

function errorOf({ kind }: { readonly kind: string }, progress: Progress): Error | undefined {
  if (isRefused(progress)) return progress.causes.at(-1);
  return new NoProviderLeft(kind, progress.causes);
}

function orNone<Out>(ready: readonly Out[] | undefined): readonly Out[] | undefined {
  return ready && ready.length > 0 ? ready : undefined;
}

/** What becomes of the next parts, up to the first with something ready. Undefined at the end. */
type Reader<Out> = () => Promise<readonly Out[] | undefined>;

function createReader<Part, Out>(
  timed: TimedCall,
  call: TierCall<Part, Out>,
  note: (ready: readonly Out[]) => readonly Out[] | undefined,
): Reader<Out> {
  const parts = call.parts[Symbol.asyncIterator]();
  let hasEnded = false;
  const take = (step: IteratorResult<Part>) => {
    if (!step.done) return note(call.push(step.value)) ?? next();
    hasEnded = true;
    return note(call.end());
  };
  const next: Reader<Out> = () =>
    hasEnded ? Promise.resolve(undefined) : timed.next(parts).then(take);
  return next;
}

/** One call of a tier, if its breaker admits it. The breaker hears how it ended. */
function createCall<Provider extends { readonly name: string }, Part, Out>(
  run: TierRun<Provider, Part, Out>,
  tier: Tier<Provider>,
  progress: Progress,
) {
  const { provider, breaker } = tier;
  const { name } = provider;
  const { failed } = progress;
  const isAdmitted = breaker.admit();
  // A call that was not made has no outcome.
  let isReported = !isAdmitted;
  let begun = false;
  let call: TierCall<Part, Out> | undefined;
  let timed: TimedCall | undefined;
  let next: Reader<Out> = async () => undefined;

  const note = (ready: readonly Out[] | undefined) => {
    if (!begun && call?.hasBegun()) {
      begun = true;
      if (failed) run.onFailover?.({ from: failed, to: name, midway: progress.begun });
      progress.begun = true;
    }
    return orNone(ready);
  };
  const report = (error?: ProviderError) => {
    if (isReported) return;
    isReported = true;
    if (error) breaker.fail(error);
    else breaker.succeed();
    run.onOutcome?.({ tier: name, ...(error && { error }) });
  };
  return {
    open(signal: AbortSignal) {
      if (!isAdmitted) throw circuitOpen(tier);
      timed = startCall(name, tier.timeouts, signal);
      call = run.open(provider, timed.signal);
      next = createReader(timed, call, note);
    },
    next: () => next(),
    /** It came to its end. Throws if no part counts. */
    succeed() {
      if (!begun) throw new ProviderError(name, "protocol", "ended without an answer");
      report();
      progress.isDone = true;
    },
    /** Returns what is left of it. */
    fail(cause: unknown) {
      const error = asProviderError(name, cause);
      const last = note(call?.fail());
      if (!isReported) progress.failed = name;
      report(error);
      progress.causes.push(error);
      progress.isDone = progress.begun && run.isWhole?.() === true;
      return last;
    },
    /** It is over. If that was not reported, nobody knows how it would have ended. */
    close() {
      timed?.close();
      if (!isReported) breaker.forget();
    },
  };
}
function circuitOpen({ provider, breaker }: Tier<{ readonly name: string }>): ProviderError {
  const seconds = Math.ceil(breaker.cooldownLeftMs() / 1000);
  return new ProviderError(provider.name, "server", `circuit open; retrying in ${seconds} s`);
}

/** The message of an error that a provider did not foresee may hold anything, so it is not passed on. */
function asProviderError(tier: string, cause: unknown): ProviderError {
  if (cause instanceof ProviderError) return cause;
  return new ProviderError(tier, "server", "failed unexpectedly", { cause });
}
