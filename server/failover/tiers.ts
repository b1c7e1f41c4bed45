import { throwIfAborted } from "../core/async.ts";
import { NoProviderLeft, ProviderError } from "../core/errors.ts";
import { type ProviderErrorKind, ruleOf } from "../core/outcomes.ts";
import type { CallEnd, CallStart, TierFailover, TierOutcome } from "../telemetry/activity.ts";
import type { CallObserver } from "../telemetry/turn-observer.ts";
import { createCallReport } from "./call-report.ts";
import { circuitOpen, startCall, type Tier, type TimedCall, type TimeShare } from "./tier.ts";

/** Listens to the tiers of a chain. */
export type TierListener = {
  /** Called once for each call that was made and not cancelled. */
  readonly onOutcome?: (outcome: TierOutcome) => void;
  readonly onFailover?: (failover: TierFailover) => void;
  /** Called with each call that is made. What it returns is told once how the call ended. */
  readonly onCall?: (call: CallStart) => CallObserver;
  /** A voice without words speaks a text, as every other is down. */
  readonly onLastResort?: (tier: string) => void;
};

/** Who makes what follows. */
export type Source = {
  readonly tier: string;
  /** The tier that it follows, if that one failed in this turn. */
  readonly from?: string;
  /** Why it follows, in one word: the outcome of the tier before, or `circuit_open`. */
  readonly reason?: ProviderErrorKind | "circuit_open";
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
  /** What the call has used so far. */
  usage?(): Pick<CallEnd, "characters" | "audioSeconds" | "facts">;
};

/**
 * The time of a turn, of which the tiers of a chain get their shares: so a chain whose tiers hang still
 * comes to its last.
 */
export type TurnTime = {
  /** Milliseconds in which all tiers but the last must have begun. */
  readonly toBeginMs: number;
  /** What is left of the turn, in milliseconds. The client's own time does not count. */
  readonly leftMs: () => number;
};

/** A run of a chain of tiers. */
export type TierRun<Provider, Part, Out> = TierListener & {
  /** What the tiers make, for the error when none is left: "speech". */
  readonly kind: "text" | "speech";
  /** Best first. */
  readonly tiers: readonly Tier<Provider>[];
  /**
   * Calls one provider. After a tier that failed midway it asks for what is missing, which the caller
   * knows: every part went through it. The signal fires when nobody wants the parts any more.
   */
  readonly open: (
    provider: Provider,
    signal: AbortSignal,
    source: Source,
    /** The call's place in its trace. */
    traceparent?: string,
  ) => TierCall<Part, Out>;
  /** Whether a tier can make what is missing now. Every tier can, if absent. */
  readonly canOpen?: (provider: Provider) => boolean;
  /** True if nothing is missing although the tier failed: then no other is called. */
  readonly isWhole?: () => boolean;
  /** True if a tier may have nothing to add to what those before it made. */
  readonly mayAddNothing?: () => boolean;
  /** Whether the next tier is called after an outcome, other than `core/outcomes.ts` says. */
  readonly callsNext?: (error: ProviderError) => boolean;
  /** The turn's time. Without it every tier has its own limits. */
  readonly time?: TurnTime;
  /** What is left when the run is over, and before it throws. */
  readonly flush?: () => readonly Out[];
};

/**
 * Calls the tiers in order until one ends, and yields what becomes of each part, never none.
 *
 * If a tier fails before its first part, the next is called as if it had not been. If it fails later
 * it hands over: the next continues from there, and none is started over. A tier that ends without a
 * part has failed. A cancel is not a failure: the signal's reason is thrown. Whether
 * another tier is called after an outcome, `outcomes.ts` says. Tiers with an open circuit are skipped.
 */
export async function* runTiers<Provider extends { readonly name: string }, Part, Out>(
  run: TierRun<Provider, Part, Out>,
  signal: AbortSignal,
): AsyncGenerator<readonly Out[]> {
  const progress: Progress = { begun: false, isDone: false, waitedMs: 0, causes: [] };
  for (const call of callsOf(run, progress)) {
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
    if (progress.isDone || endsHere(run, progress)) break;
  }
  const rest = orNone(run.flush?.());
  if (rest) yield rest;
  if (!progress.isDone) throw errorOf(run, progress);
}

/** What the calls of one run know of each other. */
type Progress = {
  /** A part of any call counts. */
  begun: boolean;
  /** Nothing is missing. */
  isDone: boolean;
  /** The tier that was called and failed last. */
  failed?: string;
  /** The tier that was of no use last, called or not. */
  before?: Required<Pick<Source, "from" | "reason">>;
  /** Milliseconds that tiers took which failed before their first part. */
  waitedMs: number;
  /** Why each tier was of no use so far. */
  readonly causes: ProviderError[];
};

type Run = Pick<TierRun<never, never, never>, "kind" | "callsNext">;

/** No other tier may answer. */
function endsHere({ callsNext }: Run, { causes }: Progress): boolean {
  const last = causes.at(-1);
  return last !== undefined && !(callsNext?.(last) ?? ruleOf(last.kind).callsNext);
}

function errorOf(run: Run, progress: Progress): Error | undefined {
  if (endsHere(run, progress)) return progress.causes.at(-1);
  return new NoProviderLeft(run.kind, progress.causes);
}

/** The share of the tier at this place. The last that can be called has its own limits. */
function shareOf<Provider>(
  { tiers, time, canOpen }: Pick<TierRun<Provider, never, never>, "tiers" | "time" | "canOpen">,
  at: number,
  { waitedMs }: Progress,
): TimeShare | undefined {
  const isReady = ({ provider, breaker }: Tier<Provider>) =>
    breaker.state() !== "OPEN" && canOpen?.(provider) !== false;
  const others = tiers.slice(at + 1).filter(isReady).length;
  if (!time || others === 0) return undefined;
  return {
    firstPartMs: Math.max(time.toBeginMs / 10, time.toBeginMs - waitedMs) / others,
    idleMs: time.leftMs() / (others + 1),
  };
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
  const read = timed.reader(parts, take);
  const next: Reader<Out> = () => (hasEnded ? Promise.resolve(undefined) : read());
  return next;
}

/** A call of each tier that can make what is missing when its turn comes. */
function* callsOf<Provider extends { readonly name: string }, Part, Out>(
  run: TierRun<Provider, Part, Out>,
  progress: Progress,
) {
  for (const [at, { provider }] of run.tiers.entries()) {
    if (run.canOpen?.(provider) !== false) yield createCall(run, at, progress);
  }
}

/** One call of a tier, if its breaker admits it. The breaker hears how it ended. */
function createCall<Provider extends { readonly name: string }, Part, Out>(
  run: TierRun<Provider, Part, Out>,
  at: number,
  progress: Progress,
) {
  const tier = run.tiers[at] as Tier<Provider>;
  const { name } = tier.provider;
  const { failed, before } = progress;
  const report = createCallReport(run, tier);
  let begun = false;
  let call: TierCall<Part, Out> | undefined;
  let timed: TimedCall | undefined;
  let next: Reader<Out> = async () => undefined;

  const note = (ready: readonly Out[] | undefined) => {
    if (!begun && call?.hasBegun()) {
      begun = true;
      report.begin();
      if (failed) run.onFailover?.({ from: failed, to: name, midway: progress.begun });
      progress.begun = true;
    }
    return orNone(ready);
  };
  return {
    open(signal: AbortSignal) {
      if (!report.isAdmitted) throw circuitOpen(tier);
      timed = startCall(name, tier.timeouts(shareOf(run, at, progress)), signal);
      const source = { tier: name, ...before };
      call = run.open(tier.provider, timed.signal, source, report.open());
      next = createReader(timed, call, note);
    },
    next: () => next(),
    /** Throws if no part counts. */
    succeed() {
      if (!begun && !run.mayAddNothing?.()) throw noAnswer(name);
      report.report();
      progress.isDone = true;
    },
    /** Returns what is left of it. */
    fail(cause: unknown) {
      const error = asProviderError(name, cause);
      const last = note(call?.fail());
      if (!report.isReported()) progress.failed = name;
      if (!begun) progress.waitedMs += report.sinceMs();
      progress.before = { from: name, reason: report.isAdmitted ? error.kind : "circuit_open" };
      report.report(error);
      progress.causes.push(error);
      progress.isDone = progress.begun && run.isWhole?.() === true;
      return last;
    },
    close() {
      timed?.close();
      report.close(call?.usage?.());
    },
  };
}
const noAnswer = (tier: string) => new ProviderError(tier, "protocol", "ended without an answer");

/** The message of an error that a provider did not foresee may hold anything, so it is not passed on. */
function asProviderError(tier: string, cause: unknown): ProviderError {
  if (cause instanceof ProviderError) return cause;
  return new ProviderError(tier, "server", "failed unexpectedly", { cause });
}
