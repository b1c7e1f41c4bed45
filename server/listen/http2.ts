import { createServer, type Http2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Handle } from "./exchange.ts";
import type { PortLimits } from "./limits.ts";
import type { Speaker } from "./speaker.ts";

/** HTTP/2 with prior knowledge. Clients that vanish without a word are found out by pings. */
export function createHttp2(limits: PortLimits, handle: Handle): Speaker {
  const server = createServer(serverOptions(limits), handle);
  const connections = new Map<Http2Session, Connection>();
  let timer: NodeJS.Timeout | undefined;

  server.on("session", (session) => {
    session.setLocalWindowSize(limits.connectionWindowBytes);
    session.once("close", () => connections.delete(session));
  });
  // Such errors end their session, and nothing else.
  server.on("sessionError", () => undefined);

  return {
    accept(socket) {
      // A client that closes its half has left. HTTP/1.1's server sees to that itself; this one
      // leaves it to the socket, and would keep streams open for nobody.
      socket.allowHalfOpen = false;
      server.once("session", (session) => connections.set(session, { socket, heardBytes: 0 }));
      server.emit("connection", socket);
    },
    start() {
      timer = setInterval(() => takePulse(connections), limits.pingIntervalMs).unref();
    },
    drain() {
      for (const session of connections.keys()) session.close();
    },
    stop: () => clearInterval(timer),
  };
}

/** `heardBytes` is how much the client had sent when it was last looked at. */
type Connection = { readonly socket: Socket; heardBytes: number };

/**
 * Pings every client, and drops those that were not heard since the ping before. Whatever comes
 * counts, not the answer alone: on a slow line the ping waits behind a response's own bytes.
 */
function takePulse(connections: Map<Http2Session, Connection>): void {
  for (const [session, connection] of connections) {
    const { bytesRead } = connection.socket;
    if (session.destroyed || bytesRead === connection.heardBytes) {
      connection.socket.destroy();
    } else {
      connection.heardBytes = bytesRead;
      session.ping(() => undefined);
    }
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
