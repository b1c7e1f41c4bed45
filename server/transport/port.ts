import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { type Connections, createConnections } from "./connections.ts";
import { guard } from "./guard.ts";
import { createHttp1 } from "./http1.ts";
import { createHttp2 } from "./http2.ts";
import {
  createInFlightRequests,
  type Handle,
  isHttp1,
  type PortRequest,
} from "./in-flight-requests.ts";
import { defaultLimits, type PortLimits } from "./limits.ts";
import { type Certificate, createTlsLayer } from "./tls.ts";
import { createUpgrades, type UpgradeOptions } from "./upgrades.ts";

/** A port that speaks HTTP/2 and HTTP/1.1: in plain text (h2c by prior knowledge), or over TLS. */
export type Port = {
  /**
   * Starts to listen and returns the address. Rejects with an error that says what to change.
   * Later calls return the result of the first: a port starts once.
   */
  start(): Promise<PortAddress>;
  /**
   * Begins to drain: asks the clients that are connected to send no more requests (GOAWAY,
   * `connection: close`), and goes on listening, so that probes and late clients get an answer.
   */
  goAway(): void;
  /**
   * Stops listening, closes idle connections, asks busy clients to send no more requests, and
   * destroys what is left after `graceMs`. Resolves when every connection is closed. Later calls
   * return the result of the first.
   */
  stop(graceMs: number): Promise<void>;
  /** The number of open connections. */
  connections(): number;
};

/** Where a port listens. */
export type PortAddress = { readonly host: string; readonly port: number };

/** The parts of a port. */
export type PortOptions = {
  /** A name or address of this machine. */
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly handle: Handle;
  /** The requests that may become a WebSocket; none if absent. */
  readonly upgrades?: UpgradeOptions;
  /** The names of the settings for host and port. The error of a failed start names them. */
  readonly settings?: { readonly host: string; readonly port: string };
  readonly limits?: Partial<PortLimits>;
  /** Shown to every client; the port then speaks nothing but TLS. Read before the port is created. */
  readonly certificate?: Certificate | undefined;
  /**
   * Whether an address is a trusted proxy, which many clients share: limits by address skip it.
   * IPv6 comes as `first:four:groups:only::/64`. By default no address is a proxy.
   */
  readonly isProxy?: (address: string) => boolean;
  /** Called before a response is cut off because its client stopped reading. */
  readonly onStall?: (request: PortRequest) => void;
  /** Called with what the handler throws, and with errors of the listening socket. */
  readonly onError?: (error: unknown) => void;
};

/** Creates a port. It does nothing before its `start`. */
export function createPort(options: PortOptions): Port {
  const isProxy = options.isProxy ?? (() => false);
  const limits = { ...defaultLimits, ...options.limits, isProxy };
  const onError = options.onError ?? (() => undefined);
  const onStall = options.onStall ?? (() => undefined);
  const inFlight = createInFlightRequests({ ...limits, onStall });
  const { certificate } = options;
  const answer = certificate ? withTransportSecurity(options.handle) : options.handle;
  const handle = inFlight.track(guard(answer, { ...limits, onError }));
  const upgrades = createUpgrades(options.upgrades ?? none, { ...limits, onStall, onError });
  const protocolServers = {
    http1: createHttp1(limits, handle, upgrades),
    h2: createHttp2(limits, handle),
  };
  const tls = certificate && createTlsLayer(certificate, limits.firstBytesTimeoutMs);
  const connections = createConnections(protocolServers, { ...limits, ...(tls && { tls }) });
  const timed = [inFlight, upgrades, protocolServers.http1, protocolServers.h2];
  const listener = createServer(
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 },
    connections.accept,
  );
  listener.maxConnections = limits.maxConnections;
  let started: Promise<PortAddress> | undefined;
  let stopped: Promise<void> | undefined;

  const start = async () => {
    await listen(listener, options);
    listener.on("error", onError);
    for (const part of timed) part.start();
    const { address, port } = listener.address() as AddressInfo;
    return { host: address, port };
  };
  const stop = async (graceMs: number) => {
    if (!listener.listening) await started?.catch(() => undefined);
    if (listener.listening) {
      inFlight.drain(connections.drain);
      upgrades.drain();
      await close(listener, connections, graceMs);
    }
    for (const part of timed) part.stop();
  };

  return {
    start() {
      started ??= start();
      return started;
    },
    goAway() {
      inFlight.goAway();
      upgrades.goAway();
      protocolServers.h2.goAway();
      protocolServers.http1.goAway();
    },
    stop(graceMs) {
      stopped ??= stop(graceMs);
      return stopped;
    },
    connections: connections.count,
  };
}

const HSTS = `max-age=${180 * 24 * 3600}`;

/**
 * Tells browsers to come back over TLS alone (HSTS). Not where they know the gateway as `localhost`: they
 * would ask every other program of that name for TLS too.
 */
function withTransportSecurity(handle: Handle): Handle {
  return (request, response) => {
    const authority = isHttp1(request) ? request.headers.host : request.authority;
    const isLocal = /^([^:]+\.)?localhost(:\d+)?$/i.test(authority ?? "");
    if (!isLocal) response.setHeader("strict-transport-security", HSTS);
    return handle(request, response);
  };
}

/** No request becomes a WebSocket. */
const none: UpgradeOptions = { routes: [], permits: () => false };

async function listen(listener: Server, options: PortOptions): Promise<void> {
  const { host, port } = options;
  listener.listen({ host, port });
  try {
    await once(listener, "listening");
  } catch (error) {
    throw new Error(explain(error, options), { cause: error });
  }
}

function explain(error: unknown, { host, port, settings }: PortOptions): string {
  const target = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const portSetting = settings?.port ?? "the port";
  const hostSetting = settings?.host ?? "the host";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "EADDRINUSE":
      return `cannot listen on ${target}: the port is in use. Stop the other program or change ${portSetting} (0 picks a free port).`;
    case "EACCES":
      return `cannot listen on ${target}: permission denied. Change ${portSetting} to 1024 or higher.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `cannot listen on ${target}: this machine does not have that address. Change ${hostSetting}.`;
    default:
      return `cannot listen on ${target}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Refuses new connections, closes idle ones, and destroys the rest after `graceMs`. */
async function close(listener: Server, connections: Connections, graceMs: number): Promise<void> {
  const closed = once(listener, "close");
  listener.close();
  connections.drain();
  const timer = setTimeout(connections.destroy, graceMs);
  await closed;
  clearTimeout(timer);
  // The listener counts a connection as closed as soon as it begins to close.
  await connections.allClosed();
}
