import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { ruleOf } from "../core/outcomes.ts";
import type { CallEnd, CallStart, TierFailover, TierOutcome, TurnReport } from "./activity.ts";
import {
  type CutMetrics,
  createCutMetrics,
  createGapMetric,
  type GapMetric,
} from "./cut-metrics.ts";
import { LOOP_RESOLUTION_MS, registerProcess } from "./process-metrics.ts";
import type { UsageTotal } from "./usage.ts";

/** What is read when somebody asks for the metrics. */
export type GaugeValues = {
  readonly version: string;
  readonly activeTurns: number;
  /** False while the gateway stops. */
  readonly isReady: boolean;
  readonly providers: readonly {
    readonly name: string;
    readonly kind: "text" | "speech";
    readonly breaker: BreakerState;
  }[];
  readonly usage: readonly UsageTotal[];
  /** What waits, by the name of its queue. */
  readonly queues: Readonly<Record<string, number>>;
};

type BreakerState = "CLOSED" | "OPEN" | "HALF_OPEN";

/** Counts and measures, for Prometheus. Labels hold no device, session or text. */
export type Metrics = CutMetrics &
  GapMetric & {
    onTurn(report: TurnReport): void;
    onOutcome(outcome: TierOutcome): void;
    onFailover(failover: TierFailover): void;
    /** A call of a tier is over, however it ended. */
    onCall(call: CallStart, end: CallEnd): void;
    /** The metrics in Prometheus' text format, and its media type. */
    render(): Promise<{ readonly text: string; readonly contentType: string }>;
    /** Starts to measure the event loop. */
    start(): void;
    stop(): Promise<void>;
  };

/** Seconds to the first text or sound. */
const FIRST_SECONDS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10];
const TURN_SECONDS = [0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
const breakerStates: readonly BreakerState[] = ["CLOSED", "OPEN", "HALF_OPEN"];

/** Creates the metrics. `read` is called for each answer. */
export function createMetrics(read: () => GaugeValues): Metrics {
  const registry = new Registry();
  const turns = createTurnMetrics(registry);
  const tiers = createTierMetrics(registry);
  const cuts = createCutMetrics(registry);
  const gaps = createGapMetric(registry);
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  registerGauges(registry, read);
  registerProcess(registry, loop);
  return {
    ...turns,
    ...tiers,
    ...cuts,
    ...gaps,
    async render() {
      const text = await registry.metrics();
      loop.reset();
      return { text, contentType: registry.contentType };
    },
    start: () => void loop.enable(),
    stop: async () => void loop.disable(),
  };
}

function createTurnMetrics(registry: Registry): Pick<Metrics, "onTurn"> {
  const registers = [registry];
  const ended = new Counter({
    name: "parley_turns_total",
    help: "Turns by how they ended: done, partial, failed, interrupted, disconnected, deadline, shutdown, revoked.",
    labelNames: ["outcome"],
    registers,
  });
  const duration = new Histogram({
    name: "parley_turn_duration_seconds",
    help: "Time from a turn's start to its end, by how it ended.",
    labelNames: ["outcome"],
    buckets: TURN_SECONDS,
    registers,
  });
  const firstText = new Histogram({
    name: "parley_time_to_first_text_seconds",
    help: "Time from a turn's start to its first text (TTFT).",
    buckets: FIRST_SECONDS,
    registers,
  });
  const firstAudio = new Histogram({
    name: "parley_time_to_first_audio_seconds",
    help: "Time from a turn's start to its first sound (TTFA).",
    buckets: FIRST_SECONDS,
    registers,
  });
  return {
    onTurn({ outcome, durationMs, ttftMs, ttfaMs }) {
      ended.inc({ outcome });
      duration.observe({ outcome }, durationMs / 1000);
      if (ttftMs !== undefined) firstText.observe(ttftMs / 1000);
      if (ttfaMs !== undefined) firstAudio.observe(ttfaMs / 1000);
    },
  };
}

function createTierMetrics(
  registry: Registry,
): Pick<Metrics, "onOutcome" | "onFailover" | "onCall"> {
  const registers = [registry];
  const calls = new Counter({
    name: "parley_tier_calls_total",
    help: "Calls of a tier by their result, success or failure. Cancelled calls are not counted.",
    labelNames: ["tier", "result"],
    registers,
  });
  const failures = new Counter({
    name: "parley_tier_failures_total",
    help: "Failed calls of a tier by the kind of the error.",
    labelNames: ["tier", "kind"],
    registers,
  });
  const failovers = new Counter({
    name: "parley_failovers_total",
    help: "How often a tier took over from one that failed; midway: after the other had begun.",
    labelNames: ["from", "to", "midway"],
    registers,
  });
  const characters = new Counter({
    name: "parley_tier_characters_total",
    help: "Characters that a text tier wrote, or that a voice was given to speak.",
    labelNames: ["tier", "kind"],
    registers,
  });
  const audio = new Counter({
    name: "parley_tier_audio_seconds_total",
    help: "Seconds of sound that a tier made, heard or not.",
    labelNames: ["tier", "kind"],
    registers,
  });
  return {
    onOutcome({ tier, error }) {
      const hasFailed = error !== undefined && ruleOf(error.kind).breaker !== "success";
      calls.inc({ tier, result: hasFailed ? "failure" : "success" });
      if (hasFailed) failures.inc({ tier, kind: error.kind });
    },
    onFailover({ from, to, midway }) {
      failovers.inc({ from, to, midway: String(midway) });
    },
    onCall({ tier, kind }, { characters: written, audioSeconds }) {
      if (written > 0) characters.inc({ tier, kind }, written);
      if (audioSeconds > 0) audio.inc({ tier, kind }, audioSeconds);
    },
  };
}

function registerGauges(registry: Registry, read: () => GaugeValues): void {
  const registers = [registry];
  const gauge = (name: string, help: string, pick: (values: GaugeValues) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(pick(read()));
      },
    });
  gauge("parley_active_turns", "Turns in progress.", ({ activeTurns }) => activeTurns);
  gauge("parley_ready", "1 while new turns are taken, 0 while the gateway stops.", ({ isReady }) =>
    Number(isReady),
  );
  new Gauge({
    name: "parley_build_info",
    help: "Always 1; the label names the version.",
    labelNames: ["version"],
    registers,
    collect() {
      this.set({ version: read().version }, 1);
    },
  });
  new Gauge({
    name: "parley_breaker_state",
    help: "1 for the state that a tier's circuit breaker is in, 0 for the others.",
    labelNames: ["tier", "kind", "state"],
    registers,
    collect() {
      for (const { name: tier, kind, breaker } of read().providers) {
        for (const state of breakerStates)
          this.set({ tier, kind, state }, Number(state === breaker));
      }
    },
  });
  new Gauge({
    name: "parley_queue_depth",
    help: "What waits: rows for the database, turns to be distilled, screenshots for their store, clauses for the local voice, bytes of the log.",
    labelNames: ["queue"],
    registers,
    collect() {
      for (const [queue, depth] of Object.entries(read().queues)) this.set({ queue }, depth);
    },
  });
  new Counter({
    name: "parley_reported_tokens_total",
    help: "Tokens that clients reported by ReportUsage, by source, model and direction.",
    labelNames: ["source", "model", "direction"],
    registers,
    collect() {
      this.reset();
      for (const { source, model, inputTokens, outputTokens } of read().usage) {
        this.inc({ source, model, direction: "input" }, inputTokens);
        this.inc({ source, model, direction: "output" }, outputTokens);
      }
    },
  });
}
