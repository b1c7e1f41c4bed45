import type { IncomingMessage } from "node:http";
import { AccessDenied, type Caller } from "./auth/caller.ts";
import type { Gate } from "./auth/gate.ts";
import type { Redis } from "./cluster/redis-contract.ts";
import { createSharedBuckets } from "./cluster/shared-buckets.ts";
import type { Config } from "./config/config.ts";
import { LimitExceeded } from "./core/errors.ts";
import type { WebSocketRefusal } from "./core/web-socket.ts";
import type { Door } from "./doors/door.ts";
import { refuseUnread, upgradeRefusal } from "./gate.ts";
import { createUpgradeCheck, type NodeHandler } from "./http/access.ts";
import { toProblem } from "./http/problem.ts";
import { createQuotas } from "./limits/quotas.ts";
import { createRateLimits, type Meter, type RateLimits } from "./limits/rate-limits.ts";
import type { RpcRequest } from "./rpc/request-body.ts";
import { toStatus } from "./rpc/status.ts";
import type { RecordUsage } from "./rpc/streaming-service.ts";
import type { Storage } from "./storage/storage-contract.ts";
import type { UsageCounts } from "./telemetry/usage.ts";
import { addressOf, createClientAddress, createProxyRule } from "./transport/addresses.ts";
import type { UpgradeOptions } from "./transport/upgrades.ts";

/** What the limits of a gateway are made of. */
type LimitParts = {
  readonly usage: UsageCounts;
  readonly redis: Redis | undefined;
  readonly storage: Storage | undefined;
};

/** The limits of one gateway. */
export type Limits = ReturnType<typeof openLimits>;

/** Creates the limits that the settings ask for. `recordUsage` counts tokens for the quotas too. */
export function openLimits(config: Config, { usage, redis, storage }: LimitParts) {
  const shared = redis && createSharedBuckets(redis);
  const rateLimits = createRateLimits({ ...config.rateLimits, shared });
  // The storage ends its calls itself. A turn that ends must not end what others wait for.
  const { signal } = new AbortController();
  const quotas = createQuotas({
    ...config.quotas,
    isShared: config.database.isShared,
    readUsed: (deviceId, since) => storage?.call("readUsed", { deviceId, since }, signal),
  });
  const recordUsage: RecordUsage = async (report) => {
    usage.record(report);
    quotas.addTokens(report.deviceId, report.inputTokens + report.outputTokens);
    await storage?.recordUsage(report);
  };
  return { rateLimits, quotas, recordUsage };
}

/** The rate limits in front of every handler. */
export type LimitGate = {
  /** Wraps a handler: requests over the limits of their address are refused before it, unread. */
  guard(handler: NodeHandler): NodeHandler;
  /** Counts a request that no handler sees. Throws `LimitExceeded`. */
  open(request: IncomingMessage): Meter;
  /** What the request uses of the limits. Undefined: it is not counted. */
  meterOf(request: object): Meter | undefined;
};

/**
 * Probes are cheap, and come from addresses that clients may share. To refuse one could end the gateway.
 */
const probes = new Set(["/health", "/livez", "/readyz", "/grpc.health.v1.Health/Check"]);

/** Creates the limits of one gateway's ports. */
export function createLimitGate(config: Config, limits: RateLimits): LimitGate {
  const meters = new WeakMap<object, Meter>();
  const keyOf = createAddressKey(config);
  const open = (request: RpcRequest) => {
    const meter = limits.open(keyOf(request));
    meters.set(request, meter);
    return meter;
  };
  return {
    guard: (handler) => (request, response) => {
      const [path = ""] = request.url?.split("?", 1) ?? [];
      if (probes.has(path)) return handler(request, response);
      return refuseOver({ request, response }, () => {
        countBody(request, open(request).charge);
        return handler(request, response);
      });
    },
    open,
    meterOf: (request) => meters.get(request),
  };
}

/** Puts the limits around the gate: those of addresses in front of it, those of devices behind. */
export function limitGate(gate: Gate, limits: LimitGate): Gate {
  const bind = (request: object, { deviceId }: Caller) => {
    if (deviceId !== undefined) limits.meterOf(request)?.bind(deviceId);
  };
  return {
    /** Where no token says the device, the request does: it is counted when that was read. */
    callerOf(request) {
      const caller = gate.callerOf(request);
      const meter = limits.meterOf(request);
      return caller.deviceId !== undefined || !meter
        ? caller
        : { ...caller, countDevice: meter.bind };
    },
    adopt(request, caller) {
      const adopted = gate.adopt(request, caller);
      bind(request, adopted);
      return adopted;
    },
    async admitUpgrade(request, authorization) {
      limits.open(request);
      const caller = await gate.admitUpgrade(request, authorization);
      bind(request, caller);
      return caller;
    },
    guard: (handler) =>
      limits.guard(
        gate.guard((request, response) =>
          refuseOver({ request, response }, () => {
            bind(request, gate.callerOf(request));
            return handler(request, response);
          }),
        ),
      ),
  };
}

/** Creates the function that admits requests for a WebSocket, and counts its messages. */
function createAdmission(gate: Gate, limits: LimitGate): NonNullable<UpgradeOptions["admit"]> {
  return async (request, authorization) => {
    try {
      const caller = await gate.admitUpgrade(request, authorization);
      const countMessage = limits.meterOf(request)?.message;
      return { caller, ...(countMessage && { countMessage }) };
    } catch (error) {
      if (error instanceof LimitExceeded) return { refusal: limitRefusal(error) };
      if (error instanceof AccessDenied) return { refusal: upgradeRefusal(error) };
      throw error;
    }
  };
}

/** Refuses a request for a WebSocket, in the shape of HTTP's other refusals. */
function limitRefusal(error: LimitExceeded): WebSocketRefusal {
  const { status, body } = toProblem(error);
  return { status, body, headers: { "retry-after": String(Math.ceil(error.retryAfterMs / 1000)) } };
}

/**
 * Creates the function that says whom a request is counted for: the address of its client. Undefined for
 * a trusted proxy that names no client: many share it.
 */
function createAddressKey({ trustedProxies }: Config): (request: RpcRequest) => string | undefined {
  const clientAddressOf = createClientAddress(trustedProxies);
  const isProxy = createProxyRule(trustedProxies);
  return (request) => {
    const remoteAddress = clientAddressOf(request);
    return isProxy(remoteAddress) ? undefined : addressOf({ remoteAddress });
  };
}

type Exchange = {
  readonly request: Parameters<NodeHandler>[0];
  readonly response: Parameters<NodeHandler>[1];
};

function refuseOver<Result>({ request, response }: Exchange, handle: () => Result) {
  try {
    return handle();
  } catch (error) {
    if (!(error instanceof LimitExceeded)) throw error;
    const { code, rawMessage: message } = toStatus(error);
    refuseUnread(request, response, { status: 429, code, message, limit: error });
    return undefined;
  }
}

/** Calls `onBytes` with each piece of a body as it comes in. Nothing is read earlier for that. */
function countBody(request: RpcRequest, onBytes: (bytes: number) => void): void {
  if (request.method === "GET" || request.method === "HEAD") return;
  const push = request.push.bind(request);
  request.push = (chunk: Uint8Array | null, encoding) => {
    if (chunk !== null) onBytes(chunk.length);
    return push(chunk, encoding);
  };
}

/** The WebSockets of every port: those of the doors, with the handler's own rules of access. */
export function createUpgradeRules(
  config: Config,
  { doors, gate, limits }: { doors: readonly Door[]; gate: Gate; limits: LimitGate },
): UpgradeOptions {
  return {
    routes: doors.flatMap(({ webSockets }) => webSockets),
    permits: createUpgradeCheck(config),
    admit: createAdmission(gate, limits),
  };
}
