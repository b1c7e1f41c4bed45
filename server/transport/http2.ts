import { constants, createServer, type Http2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { addressOf, createRateByAddress } from "./by-address.ts";
import type { PortLimits } from "./limits.ts";
import type { ProtocolServer } from "./protocol-server.ts";
import type { Handle } from "./request.ts";

/** The port's limits, and to whom those by address do not apply. */
export type Http2Options = PortLimits & { readonly isProxy: (address: string) => boolean };

/** HTTP/2 with prior knowledge. Clients that vanish without a word are found out by pings. */
export function createHttp2(limits: Http2Options, handle: Handle): ProtocolServer {
  const server = createServer(serverOptions(limits), handle);
  const connections = new Map<Http2Session, Connection>();
  const calm = createCalm(limits);
  const timers: NodeJS.Timeout[] = [];

  server.on("session", (session) => {
    session.setLocalWindowSize(limits.connectionWindowBytes);
    session.once("close", () => connections.delete(session));
  });
  // Such errors end their session, and nothing else.
  server.on("sessionError", () => undefined);

  const add = (session: Http2Session, socket: Socket) => {
    const connection = openConnection(socket, limits.freePerInterval);
    connections.set(session, connection);
    followStreams(session, connection, () => calm.takeReset(session, connection));
    session.on("ping", () => calm.takePing(session, connection));
  };

  return {
    accept(socket) {
      // A client that closes its half has left. HTTP/1.1's server sees to that itself; this one
      // leaves it to the socket, and would keep streams open for nobody.
      socket.allowHalfOpen = false;
      server.once("session", (session) => add(session, socket));
      server.emit("connection", socket);
    },
    start() {
      const idleIntervalMs = Math.min(limits.idleTimeoutMs / 4, limits.pingIntervalMs);
      timers.push(
        setInterval(takePulse, limits.pingIntervalMs, connections, limits).unref(),
        setInterval(closeIdle, idleIntervalMs, connections, limits.idleTimeoutMs).unref(),
      );
    },
    drain() {
      for (const session of connections.keys()) session.close();
    },
    stop() {
      for (const timer of timers) clearInterval(timer);
    },
  };
}

type Connection = {
  readonly socket: Socket;
  readonly address: string;
  /** How much the client had sent when it was last looked at. */
  heardBytes: number;
  /** Requests in progress, and since when there is none. */
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
    heardBytes: 0,
    streams: 0,
    idleSinceMs: performance.now(),
    freePings: free,
    freeResets: free,
  };
}

/** Counts a connection's requests, and tells of those that the client takes back. */
function followStreams(session: Http2Session, connection: Connection, onReset: () => void): void {
  session.on("stream", (stream: ServerHttp2Stream) => {
    connection.streams += 1;
    stream.once("close", () => {
      connection.streams -= 1;
      connection.idleSinceMs = performance.now();
      // The end of a connection resets all of its streams: that is one departure.
      if (stream.aborted && stream.rstCode !== constants.NGHTTP2_NO_ERROR && !session.destroyed)
        onReset();
    });
  });
}

/** Sends away connections whose address pings, or takes requests back, too often. */
function createCalm({ pings, resets, isProxy }: Http2Options) {
  const pingRate = createRateByAddress(pings);
  const resetRate = createRateByAddress(resets);
  const allows = (rate: typeof pingRate, address: string) => isProxy(address) || rate.take(address);
  const sendAway = (session: Http2Session) =>
    session.destroy(new Error("too many pings or resets"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  return {
    takePing(session: Http2Session, connection: Connection) {
      if (connection.freePings > 0) connection.freePings -= 1;
      else if (!allows(pingRate, connection.address)) sendAway(session);
    },
    takeReset(session: Http2Session, connection: Connection) {
      if (connection.freeResets > 0) connection.freeResets -= 1;
      else if (!allows(resetRate, connection.address)) sendAway(session);
    },
  };
}

/**
 * Pings every client, and drops those that were not heard since the ping before. Whatever comes
 * counts, not the answer alone: on a slow line the ping waits behind a response's own bytes.
 */
function takePulse(connections: Map<Http2Session, Connection>, limits: PortLimits): void {
  for (const [session, connection] of connections) {
    const { bytesRead } = connection.socket;
    connection.freePings = limits.freePerInterval;
    connection.freeResets = limits.freePerInterval;
    if (session.destroyed || bytesRead === connection.heardBytes) {
      connection.socket.destroy();
    } else {
      connection.heardBytes = bytesRead;
      session.ping(() => undefined);
    }
  }
}

/** Closes connections without a request. The client is told first, by GOAWAY. */
function closeIdle(connections: Map<Http2Session, Connection>, idleTimeoutMs: number): void {
  const latestMs = performance.now() - idleTimeoutMs;
  for (const [session, { streams, idleSinceMs }] of connections) {
    if (streams === 0 && idleSinceMs <= latestMs) session.close();
  }
}

function serverOptions(limits: PortLimits) {
  return {
    settings: {
      maxConcurrentStreams: limits.maxStreams,
      initialWindowSize: limits.streamWindowBytes,
      maxHeaderListSize: limits.maxHeaderBytes,
    },
    maxSessionMemory: limits.maxSessionMebibytes,
    // A client that breaks the protocol again and again, opens streams above its limit, or opens
    // streams only to reset them, is sent away. Floods of pings and settings are nghttp2's to end.
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    streamResetBurst: 500,
    streamResetRate: 100,
    strictFieldWhitespaceValidation: true,
  };
}
