import { type AddressInfo, createServer } from "node:net";
import { createConnections } from "./connections.ts";
import { close } from "./drain.ts";
import { guard } from "./guard.ts";
import { createHttp1 } from "./http1.ts";
import { createHttp2 } from "./http2.ts";
import { createInFlightRequests } from "./in-flight-requests.ts";
import { defaultLimits, type PortLimits } from "./limits.ts";
import { listen } from "./listen.ts";
import type { Handle, PortRequest } from "./request.ts";

/** A port that speaks HTTP/2 (prior knowledge) and HTTP/1.1 in plain text. */
export type Port = {
  /**
   * Begins to listen, and tells where. Rejects with an error that says what to change if it cannot.
   * Later calls settle as the first did: a port is started once.
   */
  start(): Promise<PortAddress>;
  /**
   * Stops listening at once, lets idle connections go, tells busy clients to open no more requests,
   * and after `graceMs` cuts off what is left. Resolves when every connection is closed. May be
   * called again: all calls settle together.
   */
  stop(graceMs: number): Promise<void>;
  /** How many connections are open. */
  connections(): number;
};

/** Where a port listens. */
export type PortAddress = { readonly host: string; readonly port: number };

/** What a port is made of. */
export type PortOptions = {
  /** A name or address of this machine. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly handle: Handle;
  /** The names of the settings that gave host and port, for the error of a failed start. */
  readonly settings?: { readonly host: string; readonly port: string };
  readonly limits?: Partial<PortLimits>;
  /**
   * Whether connections of an address stand for many clients (a trusted proxy), so that no limit by
   * address applies to them. IPv6 comes as `first:four:groups:only::/64`. By default none does.
   */
  readonly isProxy?: (address: string) => boolean;
  /** Told of a request whose client stopped reading, before its response is cut off. */
  readonly onStall?: (request: PortRequest) => void;
  /** Told of what the handler threw, and of failures to accept connections. */
  readonly onError?: (error: unknown) => void;
};

/** Makes a port. Nothing happens before its `start`. */
export function createPort(options: PortOptions): Port {
  const isProxy = options.isProxy ?? (() => false);
  const limits = { ...defaultLimits, ...options.limits, isProxy };
  const onError = options.onError ?? (() => undefined);
  const onStall = options.onStall ?? (() => undefined);
  const inFlight = createInFlightRequests({ ...limits, onStall });
  const handle = inFlight.watch(guard(options.handle, { ...limits, onError }));
  const protocolServers = { http1: createHttp1(limits, handle), h2: createHttp2(limits, handle) };
  const connections = createConnections(protocolServers, limits);
  const watches = [inFlight, protocolServers.http1, protocolServers.h2];
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
    for (const watch of watches) watch.start();
    const { address, port } = listener.address() as AddressInfo;
    return { host: address, port };
  };
  const stop = async (graceMs: number) => {
    if (!listener.listening) await started?.catch(() => undefined);
    if (listener.listening) {
      inFlight.drain(connections.drain);
      await close(listener, connections, graceMs);
    }
    for (const watch of watches) watch.stop();
  };

  return {
    start() {
      started ??= start();
      return started;
    },
    stop(graceMs) {
      stopped ??= stop(graceMs);
      return stopped;
    },
    connections: connections.count,
  };
}
