import type { ServerResponse } from "node:http";
import {
  Code,
  type ConnectRouter,
  cors,
  createContextValues,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { compressionGzip, connectNodeAdapter } from "@connectrpc/connect-node";
import { AudioAnalysis } from "../gen/audioanalyzer/audioanalyzer_pb.ts";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { PythonAgentService } from "../gen/neira/agent/agent_pb.ts";
import { ConversationService } from "../gen/parley/v1/conversation_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import type { Agent } from "./agent/agent.ts";
import { CHANNEL_TRAILER, TIME_TRAILER } from "./agent/call-errors.ts";
import type { StoredObjects } from "./analysis/objects.ts";
import type { Authenticator } from "./auth/authenticator.ts";
import type { Callers } from "./auth/gate.ts";
import type { Config } from "./config/config.ts";
import type { UserMemory } from "./conversation/memory/memory.ts";
import { connectionOf } from "./core/http.ts";
import type { Door, DoorParts } from "./doors/door.ts";
import { openDoors } from "./doors/doors.ts";
import { openGate, refuseUnread, rpcPathsOf } from "./gate.ts";
import { type NodeHandler, withAccess } from "./http/access.ts";
import { DEVICE_HEADER } from "./http/device.ts";
import {
  createHttpHandler,
  createUpdateHandler,
  type RouteOptions,
  type UpdateOptions,
} from "./http/routes.ts";
import { createLimitGate, createUpgradeRules, limitGate } from "./limit-gate.ts";
import type { RateLimits } from "./limits/rate-limits.ts";
import { createAgentService } from "./rpc/agent-service.ts";
import { createAnalysisService } from "./rpc/analysis-service.ts";
import { bodyShares, createBodyBudget } from "./rpc/body-budget.ts";
import { bindDevice, callerKey } from "./rpc/caller.ts";
import { checkGet } from "./rpc/connect-get.ts";
import { connectionKey } from "./rpc/connection-key.ts";
import { createConversationService } from "./rpc/conversation-service.ts";
import { endOnTime, limitDeadline, maxCallMs } from "./rpc/deadlines.ts";
import { translateWebText, webTextTypes } from "./rpc/grpc-web-text.ts";
import { createHealthService, type HealthOptions } from "./rpc/health-service.ts";
import type { DeferredStrings } from "./rpc/json-check.ts";
import { limitMethods } from "./rpc/message-limits.ts";
import { createNegotiation } from "./rpc/negotiation.ts";
import { noteStatus } from "./rpc/note-status.ts";
import { createReflectionServices } from "./rpc/reflection-service.ts";
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
import { followRequests } from "./telemetry/requests.ts";
import type { Tracing } from "./telemetry/tracing.ts";
import { createClientAddress } from "./transport/addresses.ts";
import type { UpgradeOptions } from "./transport/upgrades.ts";

/** The parts of the handler. */
export type HandlerOptions = Omit<RouteOptions, "callers" | "doors" | "addressOf"> &
  Pick<HealthOptions, "holdStream"> & {
    /** Checks tokens. Absent without authentication. */
    readonly authenticator?: Authenticator | undefined;
    readonly rateLimits: RateLimits;
    /** The tiers, best first, for the doors. */
    readonly languageModels?: DoorParts["languageModels"];
    readonly synthesizers?: DoorParts["synthesizers"];
    /** Counts the tokens that clients report. */
    readonly recordUsage: RecordUsage;
    readonly agent: Agent;
    /** What is remembered; absent if memory is switched off. */
    readonly stores: { readonly memory?: UserMemory; readonly objects: StoredObjects };
    /** Absent without a collector. */
    readonly tracing?: Tracing | undefined;
    /** False sends every message through connect-node, for tests that compare the two ways. */
    readonly responseWire?: boolean;
  };

/** What the ports of a gateway answer with. */
export type PortHandlers = {
  readonly handle: NodeHandler;
  readonly upgrades: UpgradeOptions;
};

/** The RPC services that the gateway serves. */
export const servedServices = [
  StreamingService,
  ConversationService,
  PythonAgentService,
  AudioAnalysis,
  Health,
  ServerReflection,
  ServerReflectionAlpha,
] as const;

/**
 * Creates the request handler of every port: RPCs in gRPC, gRPC-Web and Connect, and Hono's routes
 * for all other paths. Foreign hosts and pages are refused first.
 */
export function createHandler(config: Config, options: HandlerOptions): PortHandlers {
  const limits = createLimitGate(config, options.rateLimits);
  const gate = limitGate(openGate(config, { ...options, services: servedServices }), limits);
  const doors = openAppDoors(config, options, gate);
  const http = createHttpHandler({
    ...options,
    callers: gate,
    doors,
    addressOf: createClientAddress(config.trustedProxies) as RouteOptions["addressOf"],
  });
  const bodies = createBodies(config, gate);
  const openResponseWire = options.responseWire === false ? undefined : createResponseWires();
  const agentService = createAgentService({ ...options, allow: config.agent.allow });
  const answerUnary =
    options.responseWire === false ? undefined : createUnaryWire(PythonAgentService, agentService);
  const reflection = createReflectionServices({
    services: servedServices,
    holdStream: options.holdStream,
  });
  const wires = new WeakMap<RpcRequest, ResponseWire | undefined>();
  const rpc = connectNodeAdapter({
    routes(router) {
      addServices(router, { ...options, agentService, reflection });
    },
    // Only the types of write() differ: connect-node narrows them.
    fallback: (request, response) => http(request, response as ServerResponse),
    readMaxBytes: config.maxMessageBytes,
    ...bodies.adapter,
    // The first is the outermost, and hears what the others throw.
    interceptors: [...(options.tracing ? [noteStatus] : []), ...bodies.adapter.interceptors],
    contextValues: (request) =>
      bodies.contextValues(request).set(responseWireKey, wires.get(request)),
    // Audio does not compress; trying would only delay it.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
  });
  const negotiate = createNegotiation(servedServices);
  const handle: NodeHandler = (request, response) => {
    if (!negotiate(request, response)) return;
    limitDeadline(request.headers, maxCallMs(pathOf(request), config.agent.timeoutMs));
    bodies.prepare(request);
    if (webTextTypes.includes(request.headers["content-type"] ?? ""))
      translateWebText(request, response);
    if (answerUnary?.(request, response, () => bodies.contextValues(request))) return;
    wires.set(request, openResponseWire?.(request, response));
    rpc(request, response);
  };
  const requestHeaders = doors.flatMap((door) => door.requestHeaders);
  const { tracing } = options;
  const answer = withRefusals(gate.guard(handle), config, requestHeaders);
  return {
    handle: followRequests(answer, { tracing, rpcPaths: rpcPathsOf(servedServices) }),
    upgrades: createUpgradeRules(config, { doors, gate, limits }),
  };
}

/** Creates the handler of the update feed's own port. */
export function createFeedHandler(
  config: Config,
  options: UpdateOptions & Pick<HandlerOptions, "rateLimits">,
): NodeHandler {
  const limits = createLimitGate(config, options.rateLimits);
  return withRefusals(limits.guard(createUpdateHandler(options)), config);
}

/** Refuses foreign hosts and pages in the caller's protocol, and sets CORS headers for others. */
function withRefusals(
  handle: NodeHandler,
  config: Config,
  requestHeaders: readonly string[] = [],
): NodeHandler {
  return withAccess(handle, {
    ...config,
    allowedHeaders: [...cors.allowedHeaders, "authorization", DEVICE_HEADER, ...requestHeaders],
    exposedHeaders: [...cors.exposedHeaders, REASON_TRAILER, CHANNEL_TRAILER, TIME_TRAILER],
    refuse: (request, response, message) =>
      refuseUnread(request, response, { status: 403, code: Code.PermissionDenied, message }),
  });
}

/** The path of a request, without its query. */
function pathOf({ url = "" }: RpcRequest): string {
  return url.split("?", 1)[0] ?? "";
}

type ServiceParts = HandlerOptions & {
  readonly agentService: ReturnType<typeof createAgentService>;
  readonly reflection: ReturnType<typeof createReflectionServices>;
};

function addServices(router: ConnectRouter, parts: ServiceParts): void {
  const { conversation, agentService, reflection, stopping, holdStream } = parts;
  const services = servedServices.map(({ typeName }) => typeName);
  router.service(StreamingService, createStreamingService(parts));
  router.service(ConversationService, createConversationService(conversation, parts.stores.memory));
  router.service(PythonAgentService, agentService);
  router.service(AudioAnalysis, createAnalysisService(parts.stores.objects));
  router.service(Health, createHealthService({ services, stopping, holdStream }));
  router.service(ServerReflection, reflection.v1);
  router.service(ServerReflectionAlpha, reflection.v1alpha);
}

function openAppDoors(
  { doors, maxSpeechInput: maxInputCharacters }: Config,
  options: HandlerOptions,
  callers: Callers,
): readonly Door[] {
  const { languageModels = [], synthesizers = [] } = options;
  const tiers = { languageModels, synthesizers };
  return openDoors(doors, { ...options, ...tiers, callers, maxInputCharacters });
}

/** The reading of request bodies in front of the adapter, and the adapter's options for it. */
function createBodies({ maxMessageBytes, trustedProxies }: Config, { callerOf }: Callers) {
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
    interceptors: [endOnTime, restoreStrings, bindDevice] satisfies Interceptor[],
    requestGate(context: HandlerContext) {
      if (context.requestMethod !== "GET") return;
      const served = methods.get(new URL(context.url).pathname);
      if (served) checkGet(context.url, served);
    },
  };
  const contextValues = (request: RpcRequest) =>
    createContextValues()
      .set(connectionKey, connectionOf(request))
      .set(callerKey, callerOf(request))
      .set(deferredStringsKey, stringsOf(request));
  return { prepare, adapter, contextValues };
}
