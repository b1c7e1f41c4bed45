import type { CancelReason } from "../core/async.ts";
import type {
  Activity,
  CallEnd,
  CallStart,
  TierFailover,
  TierOutcome,
  TurnIds,
  TurnReport,
} from "./activity.ts";
import type { InterruptLog } from "./interrupts.ts";
import type { Logger } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import { currentRequest } from "./requests.ts";
import type { Tracing } from "./tracing.ts";

/** Follows one call of a tier. */
export type CallObserver = {
  /** The call's place in its trace, as W3C's `traceparent`, for a provider that passes it on. */
  readonly traceparent?: string;
  /** It is over. Called once. */
  end(end: CallEnd): void;
};

/** Sound of a turn, in seconds. */
export type TurnSound = { readonly sentSeconds: number; readonly heardSeconds: number };

/** Follows one turn from its admission to its end. Nothing of it is called for each chunk. */
export type TurnObserver = {
  /** What the tiers of this turn do. */
  readonly tiers: {
    onOutcome(outcome: TierOutcome): void;
    onFailover(failover: TierFailover): void;
    onCall(call: CallStart): CallObserver;
  };
  /** The first text or sound leaves, so many milliseconds after the turn's start. */
  onFirst(kind: "text" | "audio", afterMs: number): void;
  /** So many sentences were sent, each with its voice. */
  onSentence(count: number): void;
  /** The client waited so many milliseconds for what follows the chunks that it has read. */
  onGap(ms: number): void;
  /** The turn is over. What was sent of it may still play. Called once. */
  onEnd(report: TurnReport, sound: TurnSound): void;
  /** Nothing more can leave. After `onEnd`. */
  onSilent(): void;
  /** The user cut it after it was sent: so much of what was sent is never heard. */
  onCutAfterSent(unheardSeconds: number): void;
};

/** Begins to follow a turn. */
export type ObserveTurn = (ids: Pick<TurnIds, "turnId" | "sessionId">) => TurnObserver;

/** Who hears of turns. */
export type ObserverParts = {
  readonly activity: Activity;
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  readonly interrupts: InterruptLog;
  /** Gets each stage of a turn at level `debug`. */
  readonly logger: Logger;
};

/** Creates what follows turns: their log lines, metrics and spans. */
export function createTurnObservers(parts: ObserverParts): ObserveTurn {
  return ({ turnId, sessionId }) => {
    const request = currentRequest();
    // A turn over a WebSocket is a request of its own.
    const ids = { turnId, sessionId, requestId: request?.requestId ?? turnId };
    const trace = parts.tracing?.beginTurn(ids, request?.trace);
    return observe(parts, trace ? { ...ids, traceId: trace.traceId } : ids, trace);
  };
}

type Trace = ReturnType<Tracing["beginTurn"]>;

function observe(parts: ObserverParts, ids: TurnIds, trace: Trace): TurnObserver {
  const { activity, metrics, interrupts, logger } = parts;
  const sound = createSoundAccount(metrics.onUnheard);
  let cut: { readonly reason: CancelReason; readonly sinceMs: number } | undefined;
  logger.debug({ ...ids }, "turn: request");
  return {
    tiers: {
      onOutcome(outcome) {
        activity.onOutcome(outcome, ids);
        metrics.onOutcome(outcome);
      },
      onFailover(failover) {
        activity.onFailover(failover, ids);
        metrics.onFailover(failover);
      },
      onCall(call) {
        sound.begin();
        const span = trace?.beginCall(call);
        return {
          ...(span && { traceparent: span.traceparent }),
          end(end) {
            sound.add(end.audioSeconds);
            metrics.onCall(call, end);
            span?.end(end);
          },
        };
      },
    },
    onFirst(kind, afterMs) {
      logger.debug({ ...ids, afterMs }, kind === "text" ? "turn: first text" : "turn: first sound");
      trace?.onFirst(kind);
    },
    onSentence: (sentence) => logger.debug({ ...ids, sentence }, "turn: sentence"),
    onGap: metrics.onGap,
    onEnd(report, { sentSeconds, heardSeconds }) {
      const { outcome, durationMs } = report;
      if (isCut(outcome)) cut = { reason: outcome, sinceMs: performance.now() };
      logger.debug({ ...ids, outcome, durationMs, sentSeconds, heardSeconds }, "turn: end");
      activity.onTurn(report, ids);
      metrics.onTurn(report);
      trace?.end(report);
      sound.end(heardSeconds);
    },
    onSilent() {
      if (cut) metrics.onCut(cut.reason, { silentMs: performance.now() - cut.sinceMs });
      interrupts.onSilent(ids.turnId);
    },
    onCutAfterSent(unheardSeconds) {
      metrics.onCut("interrupted", { wasSent: true });
      metrics.onUnheard(unheardSeconds);
    },
  };
}

const turnEnds: readonly string[] = ["done", "partial", "failed"];

function isCut(outcome: TurnReport["outcome"]): outcome is CancelReason {
  return !turnEnds.includes(outcome);
}

/**
 * Weighs the sound that was made for a turn against what was heard of it, once the turn and its calls
 * are over. What a call still makes after that is heard by nobody.
 */
function createSoundAccount(onUnheard: (seconds: number) => void) {
  let calls = 0;
  let madeSeconds = 0;
  let heardSeconds: number | undefined;
  const settle = () => {
    if (heardSeconds === undefined || calls > 0) return;
    if (madeSeconds > heardSeconds) onUnheard(madeSeconds - heardSeconds);
    heardSeconds = Math.max(0, heardSeconds - madeSeconds);
    madeSeconds = 0;
  };
  return {
    begin() {
      calls += 1;
    },
    add(seconds: number) {
      calls -= 1;
      madeSeconds += seconds;
      settle();
    },
    end(seconds: number) {
      heardSeconds = seconds;
      settle();
    },
  };
}
