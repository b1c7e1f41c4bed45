import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { RequestTrace, TracedRequest, Tracing } from "./tracing.ts";

/** What is known of the request that runs. */
type RequestContext = {
  readonly requestId: string;
  readonly trace?: RequestTrace;
  /** The status of an RPC, by its name, as soon as it is known. */
  rpcStatus?: string;
};

const requests = new AsyncLocalStorage<RequestContext>();

/** The request in whose course this is called; undefined outside of one, in a WebSocket say. */
export function currentRequest(): RequestContext | undefined {
  return requests.getStore();
}

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;
type Handle = (request: Request, response: Response) => void | Promise<void>;

/** How requests are followed. */
export type FollowOptions = {
  readonly tracing?: Tracing | undefined;
  /** The paths of the RPCs that there are. */
  readonly rpcPaths: ReadonlySet<string>;
};

/**
 * Gives each request an id, its own `x-request-id` or a new one, for the log. With tracing, also a span:
 * RPCs and what is below `/v1/` have one, probes have none.
 */
export function followRequests(handle: Handle, { tracing, rpcPaths }: FollowOptions): Handle {
  return (request, response) => {
    const requestId = idOf(request.headers);
    if (!tracing) return requests.run({ requestId }, handle, request, response);
    const traced = toTraced(request, requestId, rpcPaths);
    const trace = traced && tracing.beginRequest(traced);
    if (!trace) return requests.run({ requestId }, handle, request, response);
    const context: RequestContext = { requestId, trace };
    response.once("close", () => {
      const rpcStatus = traced.rpc && statusOf(context, response);
      const isCut = wasCut(response);
      trace.end({ ...(rpcStatus && { rpcStatus }), httpStatus: response.statusCode, isCut });
    });
    return requests.run(context, handle, request, response);
  };
}

/** A client's own id is taken if it is plain: it stands in the log. */
function idOf(headers: IncomingHttpHeaders): string {
  const own = headers["x-request-id"];
  return typeof own === "string" && /^[\w.:-]{1,64}$/.test(own) ? own : randomUUID();
}

function toTraced(
  { method = "", url = "", headers }: Request,
  requestId: string,
  rpcPaths: ReadonlySet<string>,
): TracedRequest | undefined {
  const [path = ""] = url.split("?", 1);
  const isRpc = rpcPaths.has(path) && !path.startsWith("/grpc.health.");
  if (!isRpc && !path.startsWith("/v1/")) return undefined;
  const system = headers["content-type"]?.startsWith("application/grpc") ? "grpc" : "connect";
  const { traceparent, tracestate } = headers;
  return {
    ...(isRpc && { rpc: { method: path.slice(1), system } }),
    httpMethod: method,
    path,
    requestId,
    ...(typeof traceparent === "string" && { traceparent }),
    ...(typeof tracestate === "string" && { tracestate }),
  };
}

/** gRPC's codes, by number. */
const codes =
  "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED".split(
    " ",
  );

/** The name of a gRPC code. */
export function rpcStatusName(code: number): string {
  return codes[code] ?? "UNKNOWN";
}

/** Refusals of Connect's unary calls, which reach no handler. */
const byHttpStatus: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "UNIMPLEMENTED",
  413: "RESOURCE_EXHAUSTED",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  501: "UNIMPLEMENTED",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

/** gRPC says it in the trailers; the other protocols' handlers note it. */
function statusOf({ rpcStatus }: RequestContext, response: Response): string {
  const sent = grpcStatusOf(response);
  if (sent !== undefined) return rpcStatusName(Number(sent));
  if (rpcStatus !== undefined) return rpcStatus;
  if (wasCut(response)) return "CANCELLED";
  return response.statusCode < 300 ? "OK" : (byHttpStatus[response.statusCode] ?? "UNKNOWN");
}

/** Whether the client left before the response was complete. */
function wasCut(response: Response): boolean {
  if (!("stream" in response)) return !response.writableFinished;
  return !response.writableEnded || response.stream?.rstCode === constants.NGHTTP2_CANCEL;
}

function grpcStatusOf(response: Response): unknown {
  if (!("stream" in response)) return response.getHeader("grpc-status");
  const { sentTrailers, sentHeaders } = response.stream ?? {};
  return sentTrailers?.["grpc-status"] ?? sentHeaders?.["grpc-status"];
}
