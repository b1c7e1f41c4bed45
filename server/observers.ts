import packageJson from "../package.json" with { type: "json" };
import { tierOrigins } from "./adapters.ts";
import type { Config } from "./config/config.ts";
import type { ConversationOptions } from "./conversation/conversation.ts";
import { oneLine } from "./core/errors.ts";
import { type Activity, createActivity } from "./telemetry/activity.ts";
import { createInterruptLog } from "./telemetry/interrupts.ts";
import { createLogger, type GatewayLogger, type Logger, withRooms } from "./telemetry/logger.ts";
import { createMetrics, type GaugeValues, type Metrics } from "./telemetry/metrics.ts";
import { createTracing } from "./telemetry/open-tracing.ts";
import type { Tracing } from "./telemetry/tracing.ts";
import { createTurnObservers } from "./telemetry/turn-observer.ts";

/** What watches a gateway. */
export type Observers = {
  readonly logger: GatewayLogger;
  readonly activity: Activity;
  readonly metrics: Metrics;
  /** Absent without a collector. */
  readonly tracing: Tracing | undefined;
  /** What conversations tell it. */
  readonly turns: Pick<ConversationOptions, "observe" | "onInterrupt" | "onLastResort">;
};

/** Makes the observers. `readGauges` is called for each answer of `/metrics`. */
export function createObservers(
  config: Config,
  ownLogger: Logger | GatewayLogger | undefined,
  readGauges: () => GaugeValues,
): Observers {
  const { logLevel, logRooms: rooms, logTurns, logInterrupts } = config;
  const logger = withRooms(ownLogger ?? createLogger(logLevel, { rooms }));
  const turnLogger = logger.room("conversation");
  const activity = createActivity({ logger: logger.room("providers"), turnLogger, logTurns });
  const metrics = createMetrics(readGauges);
  const tracing = openTracing(config, logger);
  const interrupts = createInterruptLog(logInterrupts ? turnLogger : undefined);
  const observed = { activity, metrics, tracing, interrupts, logger: turnLogger };
  const turns = {
    observe: createTurnObservers(observed),
    onInterrupt: interrupts.onInterrupt,
    onLastResort: activity.onLastResort,
  };
  return { logger, activity, metrics, tracing, turns };
}

/** Nothing of OpenTelemetry is loaded where nobody takes its spans. */
function openTracing(config: Config, logger: GatewayLogger): Tracing | undefined {
  if (config.tracing === undefined) return undefined;
  const own = logger.room("telemetry");
  return createTracing({
    ...config.tracing,
    version: packageJson.version,
    tiers: tierOrigins(config),
    onError: (message) => own.warn({ error: oneLine(message) }, "traces or metrics not sent"),
  });
}
