import { z } from "zod";
import { logRooms } from "../telemetry/logger.ts";
import { count, flag, httpUrl, logLevelsByRoom, pairs } from "./setting-types.ts";

/** The settings of log, traces and metrics. Those of OpenTelemetry have its specification's names. */
export const telemetrySettings = {
  LOG_LEVEL: logLevelsByRoom
    .prefault("info")
    .describe(
      `Level of the log: \`trace\`, \`debug\`, \`info\`, \`warn\`, \`error\`, \`fatal\` or \`silent\`, in any case (\`WARNING\` and \`CRITICAL\` work too), and levels of single rooms: \`info,providers=debug\`. Rooms: ${logRooms.map((room) => `\`${room}\``).join(", ")}. The log goes to standard error, as JSON lines, or readable on a terminal.`,
    ),
  LOG_REQUESTS: flag.default(true).describe("Whether each turn is logged."),
  LOG_INTERRUPTS: flag
    .default(true)
    .describe(
      "Whether each interrupt is logged: its turn, its caller, how many turns it cut, and the time to silence.",
    ),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.describe(
    "Base URL of an OpenTelemetry collector that takes OTLP over HTTP: `http://127.0.0.1:4318`. Turns traces and OTLP metrics on; nothing of OpenTelemetry is loaded without it.",
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: httpUrl.describe(
    "URL for traces alone, as it stands: `http://127.0.0.1:4318/v1/traces`.",
  ),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: httpUrl.describe("URL for metrics alone, as it stands."),
  OTEL_EXPORTER_OTLP_HEADERS: pairs
    .optional()
    .describe("Headers for the collector: `authorization=Bearer%20…`."),
  OTEL_SERVICE_NAME: z
    .string()
    .min(1)
    .default("parley")
    .describe("Name of this service in traces and OTLP metrics."),
  OTEL_RESOURCE_ATTRIBUTES: pairs
    .optional()
    .describe("What else is said of this service: `deployment.environment.name=production`."),
  OTEL_TRACES_SAMPLER: z
    .enum([
      "always_on",
      "always_off",
      "traceidratio",
      "parentbased_always_on",
      "parentbased_always_off",
      "parentbased_traceidratio",
    ])
    .default("parentbased_always_on")
    .describe(
      "Which traces are kept: `always_on`, `always_off`, `traceidratio`, or the same behind `parentbased_`, which follows the caller's decision.",
    ),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number()
    .min(0)
    .max(1)
    .default(1)
    .describe("Share of the traces that `traceidratio` keeps, 0 to 1."),
  OTEL_BSP_SCHEDULE_DELAY: count(1, 600_000)
    .default(5000)
    .describe("Milliseconds between two sendings of spans."),
  OTEL_METRIC_EXPORT_INTERVAL: count(1, 3_600_000)
    .default(60_000)
    .describe("Milliseconds between two sendings of OTLP metrics."),
  OTEL_SDK_DISABLED: flag.default(false).describe("Turns OpenTelemetry off, whatever else is set."),
};
