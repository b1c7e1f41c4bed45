import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ProtocolServer } from "./connections.ts";
import type { Handle } from "./in-flight-requests.ts";
import type { PortLimits } from "./limits.ts";
import type { Upgrades } from "./upgrades.ts";

// How often Node looks for late requests. Its default of 30 s would triple the header timeout.
const MAX_CHECK_INTERVAL_MS = 1000;

/**
 * HTTP/1.0 and 1.1. A request for a WebSocket goes to `upgrades` if they accept it. Every other upgrade is
 * ignored, as HTTP/1.1 allows: h2c, say.
 */
export function createHttp1(
  limits: PortLimits,
  handle: Handle,
  upgrades: Upgrades,
): ProtocolServer {
  const server = createServer(
    {
      connectionsCheckingInterval: Math.min(MAX_CHECK_INTERVAL_MS, limits.headersTimeoutMs),
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
      // The guard answers a missing host, in the same words as a malformed one.
      requireHostHeader: false,
      shouldUpgradeCallback: (request) => isIdle(request.socket) && upgrades.accepts(request),
    },
    inOrder(handle, limits.maxPipelined),
  );
  server.on("connection", destroyOnHalfClose);
  server.on("upgrade", upgrades.open);
  return {
    accept: (socket) => void server.emit("connection", socket),
    // Node starts a server's timeouts when it listens, and this server never listens.
    start: () => void server.emit("listening"),
    // Each response says `connection: close`.
    goAway: () => undefined,
    drain: () => server.closeIdleConnections(),
    stop: () => void server.close(),
  };
}

/** A connection's response that is being answered, and its number of pipelined requests behind it. */
type Pipeline = { current?: ServerResponse; waiting: number };

/** An entry goes with its connection. */
const pipelines = new WeakMap<Socket, Pipeline>();

function pipelineOf(socket: Socket): Pipeline {
  const pipeline = pipelines.get(socket) ?? { waiting: 0 };
  pipelines.set(socket, pipeline);
  return pipeline;
}

/** Whether no response is in progress or waiting on the connection. */
function isIdle(socket: Socket): boolean {
  const { current, waiting } = pipelineOf(socket);
  return waiting === 0 && (current === undefined || current.writableFinished);
}

/**
 * Handles a pipelined request after the response before it. To handle both at once would gain
 * nothing: a large response in the queue makes Node stop reading the connection, and then nobody
 * notices that the client disconnects.
 */
function inOrder(handle: Handle, maxPipelined: number) {
  return (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const pipeline = pipelineOf(socket);
    const begin = () => {
      pipeline.current = response;
      handle(request, response);
    };
    if (response.socket !== null) {
      begin();
    } else if (pipeline.waiting >= maxPipelined) {
      socket.destroy();
    } else {
      pipeline.waiting += 1;
      response.once("socket", () => {
        pipeline.waiting -= 1;
        begin();
      });
    }
  };
}

/**
 * A client that closes its half during a response has disconnected, even if unread bytes keep the
 * connection open. A complete response is still delivered.
 */
function destroyOnHalfClose(socket: Socket): void {
  socket.once("end", () => {
    const { current } = pipelineOf(socket);
    if (current?.headersSent && !current.writableEnded) socket.destroy();
  });
}
