import { createServer } from "node:http";
import type { PortLimits } from "./limits.ts";
import type { ProtocolServer } from "./protocol-server.ts";
import type { Handle } from "./request.ts";

// Node looks for overdue requests at this interval; its own 30 s would triple the header time-out.
const maxCheckIntervalMs = 1000;

/** HTTP/1.0 and 1.1. An upgrade to h2c is answered as HTTP/1.1 allows: by going on in HTTP/1.1. */
export function createHttp1(limits: PortLimits, handle: Handle): ProtocolServer {
  const server = createServer(
    {
      connectionsCheckingInterval: Math.min(maxCheckIntervalMs, limits.headersTimeoutMs),
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
      // The port's own check answers a missing host, in the same words as a malformed one.
      requireHostHeader: false,
    },
    handle,
  );
  return {
    accept: (socket) => void server.emit("connection", socket),
    // Node watches the time-outs of a server from the moment it listens, and this one never does.
    start: () => void server.emit("listening"),
    drain: () => server.closeIdleConnections(),
    stop: () => void server.close(),
  };
}
