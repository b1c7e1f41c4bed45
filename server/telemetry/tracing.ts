import type { CallEnd, CallStart, TurnIds, TurnReport } from "./activity.ts";

/** Where and how spans and metrics are sent. Absent parts are the collector's or the SDK's own. */
export type TracingOptions = {
  readonly version: string;
  readonly serviceName: string;
  readonly resource: Readonly<Record<string, string>>;
  /** OTLP over HTTP, in protobuf. Absent: this signal is not sent. */
  readonly tracesUrl?: string;
  readonly metricsUrl?: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The share of traces that are kept of those that begin here, 0 to 1. */
  readonly ratio: number;
  /** Whether a caller's decision to trace or not is followed. */
  readonly followsParent: boolean;
  /** Milliseconds between two sendings. */
  readonly spansEveryMs: number;
  readonly metricsEveryMs: number;
  /** The vendor's name and the model of each tier, where they differ from the tier's name. */
  readonly tiers: Readonly<Record<string, TierOrigin>>;
  /** What could not be sent. */
  readonly onError: (message: string) => void;
};

/** Who makes what a tier answers, by OpenTelemetry's names where it has one. */
export type TierOrigin = { readonly provider: string; readonly model?: string };

/** A request as it came. */
export type TracedRequest = {
  /** Of an RPC: its name with its service, without a leading slash, and its protocol. */
  readonly rpc?: { readonly method: string; readonly system: "grpc" | "connect" };
  readonly httpMethod: string;
  /** Without its query. */
  readonly path: string;
  readonly requestId: string;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
};

/** How a request ended. */
export type RequestEnd = {
  /** Of an RPC: the name of its status, `OK` or `UNAVAILABLE`. */
  readonly rpcStatus?: string;
  readonly httpStatus: number;
  /** The client left before the response was complete. */
  readonly isCut: boolean;
};

/** A request in its trace. */
export type RequestTrace = {
  /** The place of what this request asks of others, as W3C's `traceparent`. */
  readonly traceparent: string;
  end(end: RequestEnd): void;
};

/** One call of a tier in its trace. */
export type CallTrace = { readonly traceparent: string; end(end: CallEnd): void };

/** A turn in its trace. */
export type TurnTrace = {
  readonly traceId: string;
  onFirst(kind: "text" | "audio"): void;
  beginCall(call: CallStart): CallTrace;
  end(report: TurnReport): void;
};

/** Traces and OTLP metrics. What was said is in none of them. */
export type Tracing = {
  /** Loads the SDK. Nothing is traced before. */
  start(): Promise<void>;
  /** Undefined before `start`. */
  beginRequest(request: TracedRequest): RequestTrace | undefined;
  beginTurn(ids: TurnIds, request: RequestTrace | undefined): TurnTrace | undefined;
  /** Sends what waits, for 3 s at most. */
  stop(): Promise<void>;
};
