import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { addressOf } from "./addresses.ts";
import type { TlsLayer } from "./tls.ts";

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
  /** Agrees on TLS with each connection first. Absent: plain text. */
  readonly tls?: TlsLayer;
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
      const detect = (plain: Socket) =>
        detectProtocol(plain, limits.firstBytesTimeoutMs, (protocol) => {
          undetected.delete(socket);
          if (agrees(plain, protocol)) protocolServers[protocol].accept(plain);
          else socket.destroy();
        });
      if (limits.tls) limits.tls.secure(socket, detect);
      else detect(socket);
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

/** Whether a connection speaks what its client chose by ALPN, if it chose. */
function agrees(socket: Socket, protocol: Protocol): boolean {
  const chosen = socket instanceof TLSSocket && socket.alpnProtocol;
  return !chosen || chosen === (protocol === "h2" ? "h2" : "http/1.1");
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
