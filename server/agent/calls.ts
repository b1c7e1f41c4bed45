import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { oneLine } from "../core/errors.ts";
import { type Breaker, type BreakerOptions, createBreaker } from "../failover/breaker.ts";
import type { LogFields, Logger } from "../telemetry/logger.ts";
import {
  type CallFailure,
  callError,
  isFromAgent,
  judge,
  tierError,
  tooLate,
  unavailable,
} from "./call-errors.ts";
import type { CallFlow } from "./unary-call.ts";

/** Who calls. */
export type Caller = {
  /** Fires when the caller has left. */
  readonly signal: AbortSignal;
  /** The caller's own deadline in milliseconds. The configured one is used if it is shorter. */
  readonly timeoutMs?: number | undefined;
  /** The call's place in its trace, for the agent. */
  readonly traceparent?: string | undefined;
  /** True if the caller has a breaker of its own, as a tier has, or probes the agent. */
  readonly isUnguarded?: boolean;
  /** For unary calls alone. */
  readonly flow?: CallFlow | undefined;
};

/** One call of an agent: it ends in one of its functions. */
export type Call = {
  readonly timeoutMs: number;
  /** Its answer is there, or the first part of it. */
  answered(): void;
  succeed(): void;
  /** Returns the error for the caller. */
  fail(error: unknown): unknown;
  /** Its caller was cut off. Nothing happens if it has ended. */
  forget(): void;
  /** Its caller wants no more: a success if there was an answer. Nothing happens if it has ended. */
  leave(): void;
};

/** Counts of calls. */
export type CallCounts = {
  readonly succeeded: number;
  readonly failed: number;
  /** Median milliseconds to the answer, or to its first part, of the last calls. */
  readonly responseMs?: number;
};

/** The calls of agents. */
export type Calls = {
  /** Begins a call. Throws UNAVAILABLE if the circuit is open. */
  begin(method: DescMethod, caller: Caller): Call;
  counts(): CallCounts;
  /** Another agent may have other methods, and is not to blame for the one before it. */
  reset(): void;
  /** The breaker of all calls, for the tier as well. */
  readonly breaker: Breaker;
};

/** What calls work with. */
export type CallOptions = {
  readonly timeoutMs: number;
  readonly logger: Logger;
  readonly breakerOptions?: BreakerOptions;
};

/** A caller that waits for less learns nothing about the agent. */
const PATIENCE_MS = 5000;
/** By how much the clocks of both ends may differ. */
const AGENT_LEAD_MS = 50;
const KEPT_TIMES = 100;

/** Starts counting. */
export function createCalls(options: CallOptions): Calls {
  let current = createBreaker(options.breakerOptions);
  const breaker: Breaker = {
    admit: () => current.admit(),
    state: () => current.state(),
    cooldownLeftMs: () => current.cooldownLeftMs(),
  };
  const lacking = new Set<string>();
  const times: number[] = [];
  let succeeded = 0;
  let failed = 0;
  const log = {
    lacking,
    succeed(tookMs: number) {
      times[succeeded % KEPT_TIMES] = tookMs;
      succeeded += 1;
    },
    fail() {
      failed += 1;
    },
  };
  return {
    breaker,
    begin: (method, caller) => beginCall({ ...options, breaker }, log, { method, caller }),
    counts() {
      const middle = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
      return { succeeded, failed, ...(middle !== undefined && { responseMs: middle }) };
    },
    reset() {
      lacking.clear();
      current = createBreaker(options.breakerOptions);
    },
  };
}

/** What all calls write to. */
type CallLog = {
  /** Methods that the agent has said to lack. */
  readonly lacking: Set<string>;
  succeed(tookMs: number): void;
  fail(): void;
};

function beginCall(
  { breaker, timeoutMs: maxMs, logger }: CallOptions & Pick<Calls, "breaker">,
  log: CallLog,
  { method, caller }: { readonly method: DescMethod; readonly caller: Caller },
): Call {
  const channel = `${method.parent.typeName}/${method.name}`;
  const { signal } = caller;
  const guard = caller.isUnguarded ? undefined : breaker.admit();
  if (!caller.isUnguarded && !guard) {
    const seconds = Math.max(1, Math.ceil(breaker.cooldownLeftMs() / 1000));
    throw unavailable(channel, `circuit open; retrying in ${seconds} s`);
  }
  const limitMs = Math.min(caller.timeoutMs ?? maxMs, maxMs);
  const begunMs = performance.now();
  let answerMs: number | undefined;
  let isOver = false;
  const end = (report: () => void) => {
    if (!isOver) report();
    isOver = true;
  };
  const answered = () => {
    answerMs ??= performance.now() - begunMs;
  };
  const forget = () => end(() => guard?.forget());
  const succeed = () => {
    answered();
    end(() => {
      log.succeed(answerMs ?? 0);
      guard?.succeed();
    });
  };
  const fail = (failure: CallFailure, thrown: unknown) =>
    end(() => {
      log.fail();
      guard?.fail(tierError(failure));
      const afterMs = Math.round(performance.now() - begunMs);
      logger.warn({ channel, afterMs, ...ownErrorOf(thrown) }, failure.message);
    });
  return {
    timeoutMs: limitMs,
    answered,
    succeed,
    forget,
    leave: () => (answerMs === undefined ? forget() : succeed()),
    fail(thrown) {
      const cause = signal.aborted ? signal.reason : thrown;
      const waitedMs = performance.now() - begunMs;
      // The agent knows the deadline as well, and may be the first to give up, however it says so.
      const isLate = !signal.aborted && waitedMs >= limitMs - AGENT_LEAD_MS;
      const failure = judge(isLate ? tooLate() : cause);
      const isTimeout = failure.code === Code.DeadlineExceeded;
      const saysNothing = isTimeout ? waitedMs < Math.min(PATIENCE_MS, maxMs) - 1 : signal.aborted;
      if (saysNothing) forget();
      else if (failure.counts) fail(failure, thrown);
      else succeed();
      if (signal.aborted) return cause;
      if (failure.code !== Code.Unimplemented) return callError(channel, failure);
      log.lacking.add(method.name);
      return callError(channel, { ...failure, message: describeLack(method, log.lacking) });
    },
  };
}

/** Names the methods there are, so that nobody has to guess. */
function describeLack(method: DescMethod, lacking: ReadonlySet<string>): string {
  const names = method.parent.methods.map(({ name }) => name).filter((name) => !lacking.has(name));
  return `the agent has no method ${method.name}; it has ${names.join(", ") || "none"}`;
}

/** What the gateway's own side found. An agent's own words may repeat a prompt. */
function ownErrorOf(thrown: unknown): LogFields {
  if (!(thrown instanceof Error) || isFromAgent(thrown)) return {};
  return { detail: oneLine(thrown.message), stack: thrown.stack };
}
