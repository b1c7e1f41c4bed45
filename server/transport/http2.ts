import { constants, createServer, type Http2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { createTokenBuckets } from "../core/token-buckets.ts";
import { addressOf } from "./addresses.ts";
import type { ProtocolServer } from "./connections.ts";
import type { Handle } from "./in-flight-requests.ts";
import type { PortLimits } from "./limits.ts";

/** The port's limits, and which addresses are exempt from those by address. */
export type Http2Options = PortLimits & { readonly isProxy: (address: string) => boolean };

/** HTTP/2 with prior knowledge. Pings detect clients that vanished without closing. */
export function createHttp2(limits: Http2Options, handle: Handle): ProtocolServer {
  const server = createServer(serverOptions(limits), handle);
  const connections = new Map<Http2Session, Connection>();
  const abuse = createAbuseLimits(limits);
  let timer: NodeJS.Timeout | undefined;
  let isGoingAway = false;

  server.on("session", (session) => {
    session.setLocalWindowSize(limits.connectionWindowBytes);
    // A probe or a late client still gets its one answer.
    if (isGoingAway) session.once("stream", () => session.close());
    session.once("close", () => connections.delete(session));
  });
  // The error closes its session. Nothing else is affected.
  server.on("sessionError", () => undefined);

  const add = (session: Http2Session, socket: Socket) => {
    const connection = openConnection(socket, limits.freePerInterval);
    connections.set(session, connection);
    followStreams(session, connection, () => abuse.countReset(session, connection));
    session.on("ping", () => abuse.countPing(session, connection));
  };

  return {
    accept(socket) {
      // A client that closes its half has disconnected. Node's HTTP/1.1 server handles that itself;
      // its HTTP/2 server relies on the socket, and would keep the streams open.
      socket.allowHalfOpen = false;
      server.once("session", (session) => add(session, socket));
      server.emit("connection", socket);
    },
    start() {
      const check = () => {
        for (const [session, connection] of connections) checkAlive(session, connection, limits);
      };
      timer = setInterval(check, limits.pingIntervalMs).unref();
    },
    goAway() {
      isGoingAway = true;
      for (const session of connections.keys()) session.close();
    },
    drain() {
      for (const session of connections.keys()) session.close();
    },
    stop: () => clearInterval(timer),
  };
}

type Connection = {
  readonly socket: Socket;
  readonly address: string;
  /** The bytes that the client had sent at the last check. */
  receivedBytes: number;
  /** The number of open streams, and since when there is none. */
  streams: number;
  idleSinceMs: number;
  /** What is left of `freePerInterval`. */
  freePings: number;
  freeResets: number;
};

function openConnection(socket: Socket, free: number): Connection {
  return {
    socket,
    address: addressOf(socket),
    receivedBytes: 0,
    streams: 0,
    idleSinceMs: performance.now(),
    freePings: free,
    freeResets: free,
  };
}

/** Counts a connection's open streams. Calls `onReset` when the client cancels one. */
function followStreams(session: Http2Session, connection: Connection, onReset: () => void): void {
  session.on("stream", (stream: ServerHttp2Stream) => {
    connection.streams += 1;
    stream.once("close", () => {
      connection.streams -= 1;
      connection.idleSinceMs = performance.now();
      // When a connection ends, Node resets all its streams: that is one disconnect.
      if (stream.aborted && stream.rstCode !== constants.NGHTTP2_NO_ERROR && !session.destroyed)
        onReset();
    });
  });
}

/** Closes a connection with ENHANCE_YOUR_CALM when its address pings or resets too often. */
function createAbuseLimits({ pings, resets, isProxy }: Http2Options) {
  const pingRate = createTokenBuckets(pings);
  const resetRate = createTokenBuckets(resets);
  const allows = (rate: typeof pingRate, address: string) =>
    isProxy(address) || rate.take(address) === 0;
  const close = (session: Http2Session) =>
    session.destroy(new Error("too many pings or resets"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  return {
    countPing(session: Http2Session, connection: Connection) {
      if (connection.freePings > 0) connection.freePings -= 1;
      else if (!allows(pingRate, connection.address)) close(session);
    },
    countReset(session: Http2Session, connection: Connection) {
      if (connection.freeResets > 0) connection.freeResets -= 1;
      else if (!allows(resetRate, connection.address)) close(session);
    },
  };
}

/**
 * Destroys a connection that was silent since the last ping, closes one that is idle too long (by
 * GOAWAY), and pings the others. Any byte counts as a sign of life: on a slow line the answer to a
 * ping waits behind the bytes of a response.
 */
function checkAlive(session: Http2Session, connection: Connection, limits: PortLimits): void {
  const { socket } = connection;
  connection.freePings = limits.freePerInterval;
  connection.freeResets = limits.freePerInterval;
  if (session.destroyed || socket.bytesRead === connection.receivedBytes) {
    socket.destroy();
    return;
  }
  connection.receivedBytes = socket.bytesRead;
  if (isIdle(connection, limits.idleTimeoutMs)) session.close();
  else session.ping(() => undefined);
}

function isIdle({ streams, idleSinceMs }: Connection, idleTimeoutMs: number): boolean {
  return streams === 0 && performance.now() - idleSinceMs >= idleTimeoutMs;
}

function serverOptions(limits: PortLimits) {
  return {
    settings: {
      maxConcurrentStreams: limits.maxStreams,
      initialWindowSize: limits.streamWindowBytes,
      maxHeaderListSize: limits.maxHeaderBytes,
    },
    maxSessionMemory: limits.maxSessionMebibytes,
    // These close a connection that keeps breaking the protocol, opens more streams than allowed, or
    // opens streams only to reset them. nghttp2 itself ends floods of pings and settings.
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    streamResetBurst: 500,
    streamResetRate: 100,
    strictFieldWhitespaceValidation: true,
  };
}
