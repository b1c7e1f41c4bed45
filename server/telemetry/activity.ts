import type { CancelReason } from "../core/async.ts";
import { oneLine, ProviderError } from "../core/errors.ts";
import { type CallFacts, type ProviderErrorKind, ruleOf } from "../core/outcomes.ts";

import type { LogFields, Logger } from "./logger.ts";

/** How one call of a tier ended. A cancelled call says nothing about the tier and has no outcome. */
export type TierOutcome = { readonly tier: string; readonly error?: ProviderError };

/** A tier answered, after another had failed in the same run. */
export type TierFailover = {
  /** The tier that failed last. */
  readonly from: string;
  readonly to: string;
  /** True if the first had begun, so that the second continued from there. */
  readonly midway: boolean;
};

/** By what the lines of one turn are found in the log. */
export type TurnIds = {
  readonly turnId: string;
  readonly sessionId: string;
  /** The request that brought the turn: the client's `x-request-id`, or made up. */
  readonly requestId?: string;
  readonly traceId?: string;
};

/** A call of a tier that begins. */
export type CallStart = { readonly tier: string; readonly kind: "text" | "speech" };

/** How one call of a tier ended. */
export type CallEnd = {
  /** Absent if it went well, or was cancelled. */
  readonly error?: ProviderError;
  readonly isCancelled: boolean;
  readonly durationMs: number;
  /** Milliseconds to its first part; absent without one. */
  readonly firstPartMs?: number;
  /** Characters that a voice was given to speak, or that a model wrote. */
  readonly characters: number;
  /** Seconds of sound that came of it, heard or not. */
  readonly audioSeconds: number;
  readonly facts?: CallFacts;
};

/** How a turn went, for logs and figures. Times are milliseconds from its start. */
export type TurnReport = {
  readonly sessionId: string;
  /** `partial`: it broke off, no tier could continue it, and it was ended with what there was. */
  readonly outcome: "done" | "partial" | "failed" | CancelReason;
  readonly error?: Error;
  /** Time to the first text. */
  readonly ttftMs?: number;
  /** Time to the first audio. */
  readonly ttfaMs?: number;
  readonly durationMs: number;
};

/** A provider's calls since the start, and its last error. */
export type CallStatistics = {
  readonly succeeded: number;
  readonly failed: number;
  /** 0 to 1; absent before the first call. */
  readonly successRate?: number;
  /** The last error's message. */
  readonly lastError?: string;
  readonly lastErrorKind?: ProviderErrorKind;
  /** Refusals in a row, from the third on: the provider takes no such requests. */
  readonly refusals?: number;
  /** Set by an error that needs a change of settings (a key, a right, a file), until the next success. */
  readonly misconfigured?: true;
};

/** Counts what happens, and logs it. Never what was said. */
export type Activity = {
  onOutcome(outcome: TierOutcome, turn?: TurnIds): void;
  onFailover(failover: TierFailover, turn?: TurnIds): void;
  /** A voice without words speaks, as every other is down. Logged once a minute. */
  onLastResort(tier: string): void;
  onTurn(report: TurnReport, turn?: TurnIds): void;
  /** An error outside of any call: a warm connection could not be opened, say. It is not counted. */
  onError(tier: string, error: unknown): void;
  /** A provider cannot start. Unless it says otherwise it counts as misconfigured. */
  onStartError(tier: string, error: unknown): void;
  /** A turn went on without its screenshot. */
  onScreenshotDropped(tier: string, error: unknown): void;
  /** One tier's statistics; zeros if it was never called. */
  statistics(tier: string): CallStatistics;
  /** How often each failover came, in the order of the first. One row for each pair of tiers. */
  failovers(): readonly (TierFailover & { readonly times: number })[];
  /** Turns by outcome. */
  turns(): Readonly<Record<string, number>>;
};

/** Replies that are hummed are logged so often at most. */
const HUM_LOGGED_EVERY_MS = 60_000;

/** Where the lines go, and which. */
export type ActivityOptions = {
  /** For what providers do. */
  readonly logger: Logger;
  /** For turns. */
  readonly turnLogger: Logger;
  /** Whether turns that did not fail are logged too. */
  readonly logTurns: boolean;
};

/** Starts counting. */
export function createActivity({ logger, turnLogger, logTurns }: ActivityOptions): Activity {
  const statistics = createStatistics();
  const failovers = new Map<string, TierFailover & { readonly times: number }>();
  const turns: Record<string, number> = {};
  let humLoggedMs = Number.NEGATIVE_INFINITY;
  return {
    onLastResort(tier) {
      if (performance.now() - humLoggedMs < HUM_LOGGED_EVERY_MS) return;
      humLoggedMs = performance.now();
      logger.error({ tier }, "every voice is down; replies are hummed");
    },
    onOutcome({ tier, error }, turn) {
      statistics.record(tier, error);
      if (!error) return;
      const hasFailed = ruleOf(error.kind).breaker !== "success";
      const fields = { ...turn, tier, errorKind: error.kind, ...errorFields(error) };
      if (hasFailed) logger.warn(fields, "provider failed");
      else logger.info(fields, "provider answered without a reply");
    },
    onFailover({ from, to, midway }, turn) {
      const key = JSON.stringify([from, to, midway]);
      failovers.set(key, { from, to, midway, times: (failovers.get(key)?.times ?? 0) + 1 });
      logger.warn({ ...turn, from, to, midway }, "failover");
    },
    onTurn({ error, ...report }, turn) {
      turns[report.outcome] = (turns[report.outcome] ?? 0) + 1;
      const fields = { ...turn, ...report };
      if (error) turnLogger.error({ ...fields, error: error.message }, "turn");
      else if (logTurns) turnLogger.info(fields, "turn");
    },
    onError(tier, error) {
      statistics.note(tier, error);
      logger.warn({ tier, ...errorFields(error) }, "provider not ready");
    },
    onStartError(tier, error) {
      statistics.note(tier, error, true);
      logger.error({ tier, ...errorFields(error) }, "provider cannot start");
    },
    onScreenshotDropped(tier, error) {
      logger.warn({ tier, error: String(error) }, "screenshot left out: no conversion to JPEG");
    },
    statistics: statistics.read,
    failovers: () => [...failovers.values()],
    turns: () => ({ ...turns }),
  };
}

/** One refusal may be about its request; so many in a row are about the provider. */
const REFUSALS_SHOWN = 3;

function createStatistics() {
  const statistics = new Map<string, CallStatistics>();
  const refusals = new Map<string, number>();
  const read = (tier: string): CallStatistics =>
    statistics.get(tier) ?? { succeeded: 0, failed: 0 };
  return {
    read,
    record(tier: string, error: ProviderError | undefined) {
      const { misconfigured: _, refusals: __, ...before } = read(tier);
      const hasFailed = error !== undefined && ruleOf(error.kind).breaker !== "success";
      const succeeded = before.succeeded + (hasFailed ? 0 : 1);
      const failed = before.failed + (hasFailed ? 1 : 0);
      const counts = { succeeded, failed, successRate: succeeded / (succeeded + failed) };
      const refused = error?.kind === "refused" ? (refusals.get(tier) ?? 0) + 1 : 0;
      refusals.set(tier, refused);
      statistics.set(tier, {
        ...before,
        ...counts,
        ...(refused >= REFUSALS_SHOWN && { refusals: refused }),
        ...lastErrorOf(error, false),
      });
    },
    note(tier: string, error: unknown, isStart = false) {
      const { misconfigured: _, ...before } = read(tier);
      statistics.set(tier, { ...before, ...lastErrorOf(error, isStart) });
    },
  };
}

function lastErrorOf(
  error: unknown,
  isStart: boolean,
): Pick<CallStatistics, "lastError" | "lastErrorKind" | "misconfigured"> {
  if (error === undefined) return {};
  if (!(error instanceof ProviderError)) {
    // An unexpected error may hold a path or another program's words.
    const lastError = `${isStart ? "cannot start" : "failed unexpectedly"}; the log says why`;
    return { lastError, ...(isStart && { misconfigured: true }) };
  }
  const { message, kind, misconfigured } = error;
  return { lastError: message, lastErrorKind: kind, ...(misconfigured && { misconfigured }) };
}

/** The log says more than clients hear, but never at any length. */
function errorFields(error: unknown): LogFields {
  if (!(error instanceof ProviderError)) return { error: oneLine(String(error)) };
  return { error: error.message, ...(error.detail !== undefined && { detail: error.detail }) };
}
