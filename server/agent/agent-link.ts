import type { ClientHttp2Stream } from "node:http2";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { AgentSocket } from "./agent-socket.ts";
import { connectionLost } from "./call-errors.ts";
import { createUnaryCaller, type UnaryCaller } from "./unary-call.ts";

/** A connection to an agent, which is opened with the first call and again after a loss. */
export type AgentLink = {
  readonly transport: Transport;
  /** Makes unary calls. */
  readonly unary: UnaryCaller;
  /** Closes the connection. Calls in progress fail. */
  close(): void;
};

/** Node's own 10 MB are less than one message may have. */
const MEBIBYTES_BESIDE_MESSAGE = 32;

/** Makes a gRPC connection over an agent's socket. Answers above `maxMessageBytes` are refused. */
export function createAgentLink(
  { connect }: Pick<AgentSocket, "connect">,
  maxMessageBytes: number,
): AgentLink {
  // The authority is for the header alone.
  const baseUrl = "http://localhost";
  // Health checks keep the connection in use. A timer of the manager's would be set again by each call.
  const idle = { idleConnectionTimeoutMs: Number.POSITIVE_INFINITY };
  const sessionManager = new Http2SessionManager(baseUrl, idle, {
    createConnection: connect,
    maxSessionMemory: MEBIBYTES_BESIDE_MESSAGE + Math.ceil(maxMessageBytes / 1024 / 1024),
  });
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager: watchStreams(sessionManager),
    readMaxBytes: maxMessageBytes,
    // Both ends are on this machine.
    acceptCompression: [],
    binaryOptions: { readUnknownFields: false },
  });
  return {
    transport,
    unary: createUnaryCaller(sessionManager, maxMessageBytes),
    close: () => sessionManager.abort(),
  };
}

/**
 * Fails a call whose stream is closed without an error before its response came, as when its connection
 * is lost: connect's transport waits for that response until the call's time is over.
 */
function watchStreams(
  sessions: Http2SessionManager,
): Pick<Http2SessionManager, "authority" | "request" | "notifyResponseByteRead"> {
  return {
    authority: sessions.authority,
    notifyResponseByteRead: (stream) => sessions.notifyResponseByteRead(stream),
    async request(...args): Promise<ClientHttp2Stream> {
      const stream = await sessions.request(...args);
      let hasResponse = false;
      stream.once("response", () => {
        hasResponse = true;
      });
      stream.once("close", () => {
        if (!hasResponse) stream.emit("error", connectionLost());
      });
      return stream;
    },
  };
}
