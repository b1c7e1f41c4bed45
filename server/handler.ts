import type { ServerResponse } from "node:http";
import { cors, type HandlerContext } from "@connectrpc/connect";
import { compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import type { Config } from "./config/config.ts";
import { type NodeHandler, withCors } from "./http/cors.ts";
import { createHostRule } from "./http/hosts.ts";
import { refuse } from "./http/refusal.ts";
import { createHttpHandler, type RouteOptions } from "./http/routes.ts";
import { bodyShares, createBodyBudget } from "./rpc/body-budget.ts";
import { readContext } from "./rpc/connection-key.ts";
import { clampDeadline } from "./rpc/deadline.ts";
import { translateWebText } from "./rpc/grpc-web-text.ts";
import { createHealthService, type HealthOptions } from "./rpc/health-service.ts";
import { type LiftedTexts, liftedTexts, putBackTexts } from "./rpc/lifted-texts.ts";
import { limitMethods } from "./rpc/message-limits.ts";
import { createNegotiation } from "./rpc/negotiation.ts";
import { checkGet, createReframe, type RpcRequest } from "./rpc/request-body.ts";
import { openResponseWire, type ResponseWire, responseWire } from "./rpc/response-wire.ts";
import { REASON_TRAILER } from "./rpc/status.ts";
import { createStreamingService } from "./rpc/streaming-service.ts";
import type { UsageCounts } from "./telemetry/usage.ts";
import { createClientAddress } from "./transport/client-address.ts";
import { cutUnreadBodies } from "./transport/unread-bodies.ts";

/** What the handler is made of. */
export type HandlerOptions = RouteOptions &
  Pick<HealthOptions, "holdStream"> & {
    /** Counts the tokens that clients report. */
    readonly usage: UsageCounts;
  };

/** The services that are served, beside their implementations. */
export const servedServices = [StreamingService, Health] as const;

/**
 * The one request handler behind every port: RPCs in gRPC, gRPC-Web and Connect, and Hono's routes
 * for all other paths. Names that are not the gateway's, and pages that may not call, get no further
 * than this.
 */
export function createHandler(config: Config, options: HandlerOptions): NodeHandler {
  const http = createHttpHandler(options);
  const bodies = openBodies(config);
  const wires = new WeakMap<RpcRequest, ResponseWire | undefined>();
  const rpc = connectNodeAdapter({
    routes(router) {
      router.service(StreamingService, createStreamingService(options.conversation, options.usage));
      router.service(
        Health,
        createHealthService({
          services: servedServices.map(({ typeName }) => typeName),
          stopping: options.stopping,
          holdStream: options.holdStream,
        }),
      );
    },
    // Only the types of write() differ: connect-node narrows them.
    fallback: (request, response) => http(request, response as ServerResponse),
    readMaxBytes: config.maxMessageBytes,
    ...bodies.adapter,
    contextValues: (request) => bodies.contextValues(request).set(responseWire, wires.get(request)),
    // Sound does not shrink: compressing it would only delay it.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
  });
  const negotiate = createNegotiation(servedServices);
  const handle: NodeHandler = (request, response) => {
    cutUnreadBodies(request, response);
    if (!negotiate(request, response)) return;
    clampDeadline(request.headers);
    bodies.reframe(request);
    translateWebText(request, response);
    wires.set(request, openResponseWire(request.headers["content-type"], response));
    rpc(request, response);
  };
  const answer = withCors(handle, {
    origins: config.corsOrigins,
    allowedHeaders: cors.allowedHeaders,
    exposedHeaders: [...cors.exposedHeaders, REASON_TRAILER],
  });
  const findHostProblem = createHostRule(config);
  return (request, response) => {
    const refusal = findHostProblem(request);
    if (refusal) refuse(request, response, refusal);
    else answer(request, response);
  };
}

/** What stands before the adapter to read the bodies of RPCs, and what the adapter needs for it. */
function openBodies({ maxMessageBytes, trustedProxies }: Config) {
  const methods = limitMethods(servedServices, maxMessageBytes);
  const texts = new WeakMap<RpcRequest, LiftedTexts>();
  const textsOf = (request: RpcRequest) => {
    const known = texts.get(request) ?? new Map<string, string>();
    texts.set(request, known);
    return known;
  };
  const reframe = createReframe({
    methods,
    budget: createBodyBudget(bodyShares(maxMessageBytes)),
    addressOf: createClientAddress(trustedProxies),
    textsOf,
  });
  const adapter = {
    acceptCompression: [compressionGzip],
    // Two bytes on the wire would be 160 in memory.
    binaryOptions: { readUnknownFields: false },
    interceptors: [putBackTexts],
    requestGate(context: HandlerContext) {
      if (context.requestMethod !== "GET") return;
      const served = methods.get(new URL(context.url).pathname);
      if (served) checkGet(context.url, served);
    },
  };
  const contextValues = (request: RpcRequest) =>
    readContext(request).set(liftedTexts, textsOf(request));
  return { reframe, adapter, contextValues };
}
