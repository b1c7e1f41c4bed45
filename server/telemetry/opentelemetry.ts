import {
  type Attributes,
  type Context,
  DiagLogLevel,
  diag,
  type Histogram,
  type Meter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { CallEnd, CallStart, TurnIds, TurnReport } from "./activity.ts";
import { attributes as at, instruments, operations, turnEvents } from "./semantic-names.ts";
import {
  callAttributes,
  callEndAttributes,
  requestAttributes,
  requestEndAttributes,
  turnAttributes,
} from "./span-attributes.ts";
import type {
  CallTrace,
  RequestEnd,
  RequestTrace,
  TierOrigin,
  TracedRequest,
  Tracing,
  TracingOptions,
  TurnTrace,
} from "./tracing.ts";

/** How long the last sending may take. */
const FLUSH_MS = 3000;

/** Opens OpenTelemetry's SDK. This file alone names it, and only tracing that was asked for loads it. */
export function openTracing(options: TracingOptions): Omit<Tracing, "start"> {
  const log = (message: string) => options.onError(message);
  const quiet = () => undefined;
  const logger = { error: log, warn: log, info: quiet, debug: quiet, verbose: quiet };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const resource = resourceFromAttributes({
    "service.name": options.serviceName,
    "service.version": options.version,
    ...options.resource,
  });
  const traces = openTraces(options, resource);
  const meters = openMeters(options, resource);
  const tracer = traces.getTracer("parley", options.version);
  const meter = meters.getMeter("parley", options.version);
  const gauges = createInstruments(meter);
  const contexts = new WeakMap<RequestTrace, Context>();
  return {
    beginRequest(request) {
      const parent = propagator.extract(ROOT_CONTEXT, request, headerGetter);
      const { span, context, end } = beginRequest({ tracer, gauges }, request, parent);
      const traced = { traceparent: traceparentOf(span), end };
      contexts.set(traced, context);
      return traced;
    },
    beginTurn(ids, request) {
      const parent = (request && contexts.get(request)) ?? ROOT_CONTEXT;
      return beginTurn({ tracer, gauges, tiers: options.tiers }, ids, parent);
    },
    async stop() {
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, FLUSH_MS);
      const flushed = Promise.allSettled([traces.shutdown(), meters.shutdown()]);
      await Promise.race([flushed, late]);
      clearTimeout(timer);
      diag.disable();
    },
  };
}

function openTraces(options: TracingOptions, resource: Resource): TracerProvider {
  const { tracesUrl: url, headers, ratio, followsParent, spansEveryMs } = options;
  const root = new TraceIdRatioBasedSampler(ratio);
  const exporter = url === undefined ? undefined : new OTLPTraceExporter({ url, headers });
  return new TracerProvider({
    resource,
    sampler: followsParent ? new ParentBasedSampler({ root }) : root,
    spanProcessors: exporter
      ? [new BatchSpanProcessor({ exporter, scheduledDelayMillis: spansEveryMs })]
      : [],
  });
}

function openMeters(options: TracingOptions, resource: Resource): MeterProvider {
  const { metricsUrl: url, headers, metricsEveryMs } = options;
  if (url === undefined) return new MeterProvider({ resource });
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url, headers }),
    exportIntervalMillis: metricsEveryMs,
    exportTimeoutMillis: Math.min(metricsEveryMs, 30_000),
  });
  return new MeterProvider({ resource, readers: [reader] });
}

/** Buckets as the conventions advise them. */
const RPC_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const CALL_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48];
const TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];

type Gauges = Readonly<Record<keyof typeof instruments, Histogram>>;

function createInstruments(meter: Meter): Gauges {
  const histogram = (name: string, unit: string, explicitBucketBoundaries: number[]) =>
    meter.createHistogram(name, { unit, advice: { explicitBucketBoundaries } });
  return {
    rpcDuration: histogram(instruments.rpcDuration, "s", RPC_SECONDS),
    operationDuration: histogram(instruments.operationDuration, "s", CALL_SECONDS),
    timeToFirstChunk: histogram(instruments.timeToFirstChunk, "s", CALL_SECONDS),
    tokenUsage: histogram(instruments.tokenUsage, "{token}", TOKENS),
  };
}

const propagator = new W3CTraceContextPropagator();

const headerGetter: TextMapGetter<Pick<TracedRequest, "traceparent" | "tracestate">> = {
  keys: () => ["traceparent", "tracestate"],
  get: (headers, name) => headers[name as "traceparent" | "tracestate"],
};

function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

type Parts = { readonly tracer: Tracer; readonly gauges: Gauges };

function beginRequest({ tracer, gauges }: Parts, request: TracedRequest, parent: Context) {
  const startMs = performance.now();
  const begun = requestAttributes(request);
  const span = tracer.startSpan(
    request.rpc?.method ?? request.httpMethod,
    { kind: SpanKind.SERVER, attributes: { ...begun.known, ...begun.own } },
    parent,
  );
  const end = (ended: RequestEnd) => {
    const { isError, known, own } = requestEndAttributes(ended);
    span.setAttributes({ ...known, ...own });
    if (isError) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
    const seconds = (performance.now() - startMs) / 1000;
    if (request.rpc) gauges.rpcDuration.record(seconds, { ...begun.known, ...known });
  };
  return { span, context: trace.setSpan(parent, span), end };
}

type TurnParts = Parts & { readonly tiers: Readonly<Record<string, TierOrigin>> };

function beginTurn(parts: TurnParts, ids: TurnIds, parent: Context): TurnTrace {
  const options = { kind: SpanKind.INTERNAL, attributes: turnAttributes(ids) };
  const span = parts.tracer.startSpan(operations.turn, options, parent);
  const context = trace.setSpan(parent, span);
  return {
    traceId: span.spanContext().traceId,
    onFirst: (kind) => void span.addEvent(turnEvents[kind]),
    beginCall: (call) => beginCall(parts, { call, ids }, context),
    end(report) {
      span.setAttribute(at.outcome, report.outcome);
      failTurn(span, report);
      span.end();
    },
  };
}

function failTurn(span: Span, { outcome, error }: TurnReport): void {
  if (outcome === "done") return;
  span.setAttribute(at.errorType, outcome);
  // Who leaves or interrupts wants to: that is no error.
  const isError = error !== undefined || outcome === "deadline";
  if (isError) span.setStatus({ code: SpanStatusCode.ERROR });
}

type Call = { readonly call: CallStart; readonly ids: TurnIds };

function beginCall(
  { tracer, gauges, tiers }: TurnParts,
  { call, ids }: Call,
  parent: Context,
): CallTrace {
  const origin = tiers[call.tier] ?? { provider: call.tier };
  const { name, known, own } = callAttributes(call, origin, ids);
  const options = { kind: SpanKind.CLIENT, attributes: { ...known, ...own } };
  const span = tracer.startSpan(name, options, parent);
  return {
    traceparent: traceparentOf(span),
    end(end) {
      const ended = callEndAttributes(end);
      span.setAttributes({ ...ended.known, ...ended.own });
      if (end.error) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
      recordCall(gauges, known, { end, ended: { ...known, ...ended.known } });
    },
  };
}

function recordCall(
  gauges: Gauges,
  known: Attributes,
  { end, ended }: { readonly end: CallEnd; readonly ended: Attributes },
): void {
  const { durationMs, firstPartMs, facts = {} } = end;
  gauges.operationDuration.record(durationMs / 1000, ended);
  if (firstPartMs !== undefined) gauges.timeToFirstChunk.record(firstPartMs / 1000, known);
  const record = (tokens: number | undefined, type: string) => {
    if (tokens !== undefined) gauges.tokenUsage.record(tokens, { ...known, [at.tokenType]: type });
  };
  record(facts.inputTokens, "input");
  record(facts.outputTokens, "output");
}
