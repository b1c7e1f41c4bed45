import { BlockList, isIP, isIPv4, type Socket } from "node:net";
import type { PortRequest } from "./in-flight-requests.ts";

/** The protocol of a connection. */
export type Protocol = "h2" | "http1";

/** The server of one protocol. It never listens: the port hands it sockets. */
export type ProtocolServer = {
  /** Takes a connection whose first bytes are still unread. */
  accept(socket: Socket): void;
  /** Starts the timers for its connections. They do not keep the process alive. */
  start(): void;
  /** Asks clients to send no more requests, and takes one request of each later connection. */
  goAway(): void;
  /** Closes idle connections and asks the others to finish. Called again as more become idle. */
  drain(): void;
  /** Stops the timers. The port closes the connections. */
  stop(): void;
};

/** The open connections of a port. */
export type Connections = {
  /** Takes a new connection and hands it to the server of its protocol. */
  accept(socket: Socket): void;
  /** Closes idle connections and asks the others to finish. Called again as more become idle. */
  drain(): void;
  /** Destroys every connection, idle or not. */
  destroy(): void;
  count(): number;
  /** Resolves when no connection is open. */
  allClosed(): Promise<void>;
};

/** The limits of a port's connections. */
export type ConnectionLimits = {
  readonly firstBytesTimeoutMs: number;
  readonly maxConnectionsPerAddress: number;
  /** Whether many clients share an address, so that limits by address skip it. */
  readonly isProxy: (address: string) => boolean;
};

/** Tracks the connections of a port. Each goes to the server of its protocol. */
export function createConnections(
  protocolServers: Readonly<Record<Protocol, ProtocolServer>>,
  limits: ConnectionLimits,
): Connections {
  const open = new Set<Socket>();
  /** At most `maxConnections` entries: an address leaves with its last connection. */
  const perAddress = new Map<string, number>();
  const undetected = new Set<Socket>();
  let onAllClosed: (() => void) | undefined;

  const remove = (socket: Socket, address: string) => {
    open.delete(socket);
    undetected.delete(socket);
    const left = (perAddress.get(address) ?? 1) - 1;
    if (left > 0) perAddress.set(address, left);
    else perAddress.delete(address);
    if (open.size === 0) onAllClosed?.();
  };

  return {
    accept(socket) {
      const address = addressOf(socket);
      const count = perAddress.get(address) ?? 0;
      if (count >= limits.maxConnectionsPerAddress && !limits.isProxy(address)) {
        socket.destroy();
        return;
      }
      perAddress.set(address, count + 1);
      open.add(socket);
      undetected.add(socket);
      // An error closes the connection. Its users learn that from `close`.
      socket.on("error", () => undefined);
      socket.once("close", () => remove(socket, address));
      detectProtocol(socket, limits.firstBytesTimeoutMs, (protocol) => {
        undetected.delete(socket);
        protocolServers[protocol].accept(socket);
      });
    },
    drain() {
      for (const socket of undetected) socket.destroy();
      protocolServers.http1.drain();
      protocolServers.h2.drain();
    },
    destroy() {
      for (const socket of open) socket.destroy();
    },
    count: () => open.size,
    async allClosed() {
      const { promise, resolve } = Promise.withResolvers<void>();
      onAllClosed = resolve;
      if (open.size > 0) await promise;
    },
  };
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Reads the first bytes of a new connection, puts them back, and calls `onProtocol` once. A
 * connection that ends, fails or takes longer than `timeoutMs` before that is destroyed.
 */
function detectProtocol(
  socket: Socket,
  timeoutMs: number,
  onProtocol: (protocol: Protocol) => void,
): void {
  // Never longer than the preface and one read.
  let bytes: Buffer = Buffer.alloc(0);
  const destroy = () => socket.destroy();
  const timer = setTimeout(destroy, timeoutMs);
  const settle = () => {
    clearTimeout(timer);
    socket.off("readable", read).off("end", destroy).off("close", settle);
  };
  const read = () => {
    const piece: Buffer | null = socket.read();
    if (piece === null) return;
    bytes = Buffer.concat([bytes, piece]);
    const protocol = protocolOf(bytes);
    if (protocol === undefined) return;
    settle();
    socket.unshift(bytes);
    onProtocol(protocol);
  };
  socket.on("readable", read).on("end", destroy).on("close", settle);
}

/**
 * The protocol that a connection's first bytes belong to. HTTP/2 begins with its preface; HTTP/1.1
 * judges everything else. Undefined while the bytes are a part of the preface.
 */
export function protocolOf(bytes: Buffer): Protocol | undefined {
  const length = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, length, 0, length) !== 0) return "http1";
  return length === preface.length ? "h2" : undefined;
}

/**
 * Creates the function that finds a request's client address: the peer's, or, if the peer is a
 * trusted proxy, the last hop of `X-Forwarded-For` that is not one. `trusted` holds addresses and
 * networks ("10.0.0.0/8"). An unreadable hop ends the search: the proxy that sent it counts as the
 * client. Returns "" for a closed connection.
 */
export function createClientAddress(trusted: readonly string[]): (request: PortRequest) => string {
  const isProxy = createProxyRule(trusted);
  return (request) => {
    let client = plainAddress(request.socket.remoteAddress ?? "");
    if (!("x-forwarded-for" in request.headers)) return client;
    for (const hop of forwardedHops(request)) {
      if (!isProxy(client) || isIP(hop) === 0) break;
      client = hop;
    }
    return client;
  };
}

/** Creates the function that checks whether an address is a trusted proxy. */
export function createProxyRule(trusted: readonly string[]): (address: string) => boolean {
  const proxies = toBlockList(trusted);
  return (address) => {
    const plain = plainAddress(address);
    return isIP(plain) !== 0 && proxies.check(plain, isIPv4(plain) ? "ipv4" : "ipv6");
  };
}

/** A request's hops, the nearest first: each proxy appends the address that it saw. */
function forwardedHops(request: PortRequest): readonly string[] {
  const header = request.headers["x-forwarded-for"];
  const text = Array.isArray(header) ? header.join(",") : (header ?? "");
  return text
    .split(",")
    .map((hop) => plainAddress(hop.trim()))
    .reverse();
}

function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    const family = isIPv4(address) ? "ipv4" : "ipv6";
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** Unwraps IPv4 in IPv6, and drops the brackets and port that some proxies add. */
function plainAddress(text: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text) ?? [];
  const [, bracketed] = /^\[([^\]]+)\](?::\d+)?$/.exec(text) ?? [];
  const [, ported] = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text) ?? [];
  return mapped ?? bracketed ?? ported ?? text;
}

/** How often something may happen for one address, over all its connections. */
export type Rate = {
  /** How often at once. */
  readonly burst: number;
  /** How often in the long run. */
  readonly perSecond: number;
};

/** Counts events by address against a rate. */
export type RateByAddress = {
  /** Counts one event. Returns false, and does not count it, if it exceeds the rate. */
  take(address: string): boolean;
};

// The address that was not seen for longest is dropped first. Its count has usually decayed to 0.
const MAX_ADDRESSES = 10_000;

/** Creates a counter for at most 10,000 addresses. `now` is a clock in milliseconds. */
export function createRateByAddress(rate: Rate, now = () => performance.now()): RateByAddress {
  const counts = new Map<string, { readonly count: number; readonly atMs: number }>();
  return {
    take(address) {
      const atMs = now();
      const { count, atMs: lastMs } = counts.get(address) ?? { count: 0, atMs };
      const left = Math.max(0, count - ((atMs - lastMs) / 1000) * rate.perSecond);
      if (left + 1 > rate.burst) return false;
      // Removed first, so that the map keeps the order of the last events.
      counts.delete(address);
      counts.set(address, { count: left + 1, atMs });
      if (counts.size > MAX_ADDRESSES) counts.delete(counts.keys().next().value ?? "");
      return true;
    },
  };
}

/**
 * A connection's address as limits count it: the first 64 bits of IPv6, which one subscriber has,
 * and IPv4 in IPv6 as IPv4.
 */
export function addressOf({ remoteAddress = "" }: Pick<Socket, "remoteAddress">): string {
  const address = remoteAddress.replace(/^::ffff:(?=[\d.]+$)/i, "");
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const rest = tail ? tail.split(":") : [];
  const zeros =
    tail === undefined ? [] : Array.from({ length: 8 - groups.length - rest.length }, () => "0");
  return `${[...groups, ...zeros, ...rest].slice(0, 4).join(":")}::/64`;
}
