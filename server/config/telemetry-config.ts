import type { LogLevel, RoomLevels } from "../telemetry/logger.ts";
import type { TracingOptions } from "../telemetry/tracing.ts";
import type { Settings } from "./settings.ts";

/** How the gateway is watched. */
export type TelemetryConfig = {
  readonly logLevel: LogLevel;
  readonly logRooms: RoomLevels;
  readonly logTurns: boolean;
  readonly logInterrupts: boolean;
  /** Traces and OTLP metrics; absent if nobody takes them. */
  readonly tracing?: Omit<TracingOptions, "version" | "tiers" | "onError">;
};

/** Collects the settings of log, traces and metrics. */
export function toTelemetryConfig(env: Settings): TelemetryConfig {
  const tracing = toTracing(env);
  return {
    logLevel: env.LOG_LEVEL.level,
    logRooms: env.LOG_LEVEL.rooms,
    logTurns: env.LOG_REQUESTS,
    logInterrupts: env.LOG_INTERRUPTS,
    ...(tracing && { tracing }),
  };
}

function toTracing(env: Settings): TelemetryConfig["tracing"] {
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/$/, "");
  const urlOf = (own: string | undefined, signal: string) =>
    own ?? (base && `${base}/v1/${signal}`);
  const tracesUrl = urlOf(env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, "traces");
  const metricsUrl = urlOf(env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, "metrics");
  if (env.OTEL_SDK_DISABLED || (tracesUrl ?? metricsUrl) === undefined) return undefined;
  const sampler = env.OTEL_TRACES_SAMPLER.replace(/^parentbased_/, "");
  const ratios: Readonly<Record<string, number>> = { always_on: 1, always_off: 0 };
  return {
    serviceName: env.OTEL_SERVICE_NAME,
    resource: env.OTEL_RESOURCE_ATTRIBUTES ?? {},
    ...(tracesUrl !== undefined && { tracesUrl }),
    ...(metricsUrl !== undefined && { metricsUrl }),
    headers: env.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    ratio: ratios[sampler] ?? env.OTEL_TRACES_SAMPLER_ARG,
    followsParent: sampler !== env.OTEL_TRACES_SAMPLER,
    spansEveryMs: env.OTEL_BSP_SCHEDULE_DELAY,
    metricsEveryMs: env.OTEL_METRIC_EXPORT_INTERVAL,
  };
}
