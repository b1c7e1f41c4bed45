import type { ServerResponse } from "node:http";
import {
  Code,
  cors,
  createContextValues,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { PythonAgentService } from "../gen/neira/agent/agent_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import type { Agent } from "./agent/agent.ts";
import { CHANNEL_TRAILER, TIME_TRAILER } from "./agent/call-errors.ts";
import type { Config } from "./config/config.ts";
import { connectionOf } from "./core/http.ts";
import { type NodeHandler, withAccess } from "./http/access.ts";
import { createHttpHandler, type RouteOptions } from "./http/routes.ts";
import { createAgentService } from "./rpc/agent-service.ts";
import { bodyShares, createBodyBudget } from "./rpc/body-budget.ts";
import { checkGet } from "./rpc/connect-get.ts";
import { connectionKey } from "./rpc/connection-key.ts";
import { translateWebText, webTextTypes } from "./rpc/grpc-web-text.ts";
import { createHealthService, type HealthOptions } from "./rpc/health-service.ts";
import type { DeferredStrings } from "./rpc/json-check.ts";
import { limitMethods } from "./rpc/message-limits.ts";
import { clampDeadline, createNegotiation } from "./rpc/negotiation.ts";
import { refuse } from "./rpc/refusals.ts";
import {
  createBodyReader,
  deferredStringsKey,
  type RpcRequest,
  restoreStrings,
} from "./rpc/request-body.ts";
import { createResponseWires, type ResponseWire, responseWireKey } from "./rpc/response-wire.ts";
import { REASON_TRAILER } from "./rpc/status.ts";
import { createStreamingService, type RecordUsage } from "./rpc/streaming-service.ts";
import { createUnaryWire } from "./rpc/unary-wire.ts";
import { createClientAddress } from "./transport/connections.ts";

/** The parts of the handler. */
export type HandlerOptions = RouteOptions &
  Pick<HealthOptions, "holdStream"> & {
    /** Counts the tokens that clients report. */
    readonly recordUsage: RecordUsage;
    readonly agent: Agent;
    /** False sends every message through connect-node, for tests that compare the two ways. */
    readonly responseWire?: boolean;
  };

/** The RPC services that the gateway serves. */
export const servedServices = [StreamingService, PythonAgentService, Health] as const;

/**
 * Creates the request handler of every port: RPCs in gRPC, gRPC-Web and Connect, and Hono's routes
 * for all other paths. Foreign hosts and pages are refused first.
 */
export function createHandler(config: Config, options: HandlerOptions): NodeHandler {
  const http = createHttpHandler(options);
  const bodies = createBodies(config);
  const openResponseWire = options.responseWire === false ? undefined : createResponseWires();
  const agentService = createAgentService({ ...options, allow: config.agent.allow });
  const answerUnary =
    options.responseWire === false ? undefined : createUnaryWire(PythonAgentService, agentService);
  const wires = new WeakMap<RpcRequest, ResponseWire | undefined>();
  const rpc = connectNodeAdapter({
    routes(router) {
      router.service(
        StreamingService,
        createStreamingService(options.conversation, options.recordUsage),
      );
      router.service(PythonAgentService, agentService);
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
    contextValues: (request) =>
      bodies.contextValues(request).set(responseWireKey, wires.get(request)),
    // Audio does not compress; trying would only delay it.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
  });
  const negotiate = createNegotiation(servedServices);
  const handle: NodeHandler = (request, response) => {
    if (!negotiate(request, response)) return;
    clampDeadline(request.headers);
    bodies.prepare(request);
    if (webTextTypes.includes(request.headers["content-type"] ?? ""))
      translateWebText(request, response);
    if (answerUnary?.(request, response, () => bodies.contextValues(request))) return;
    wires.set(request, openResponseWire?.(request, response));
    rpc(request, response);
  };
  return withAccess(handle, {
    ...config,
    allowedHeaders: cors.allowedHeaders,
    exposedHeaders: [...cors.exposedHeaders, REASON_TRAILER, CHANNEL_TRAILER, TIME_TRAILER],
    refuse(request, response, message) {
      // Nobody reads the body, so nothing more can be sent on the connection.
      if (request.httpVersionMajor === 1) response.setHeader("connection", "close");
      refuse(request, response, { status: 403, code: Code.PermissionDenied, message });
    },
  });
}

/** The reading of request bodies in front of the adapter, and the adapter's options for it. */
function createBodies({ maxMessageBytes, trustedProxies }: Config) {
  const methods = limitMethods(servedServices, maxMessageBytes);
  const deferred = new WeakMap<RpcRequest, DeferredStrings>();
  const stringsOf = (request: RpcRequest) => {
    const strings = deferred.get(request) ?? new Map<string, string>();
    deferred.set(request, strings);
    return strings;
  };
  const prepare = createBodyReader({
    methods,
    budget: createBodyBudget(bodyShares(maxMessageBytes)),
    addressOf: createClientAddress(trustedProxies),
    stringsOf,
  });
  const adapter = {
    acceptCompression: [compressionGzip],
    // An unknown field of two bytes would take 160 in memory.
    binaryOptions: { readUnknownFields: false },
    interceptors: [restoreStrings] satisfies Interceptor[],
    requestGate(context: HandlerContext) {
      if (context.requestMethod !== "GET") return;
      const served = methods.get(new URL(context.url).pathname);
      if (served) checkGet(context.url, served);
    },
  };
  const contextValues = (request: RpcRequest) =>
    createContextValues()
      .set(connectionKey, connectionOf(request))
      .set(deferredStringsKey, stringsOf(request));
  return { prepare, adapter, contextValues };
}
