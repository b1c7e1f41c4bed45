import { WebSocket } from "ws";
import type { SocketEnd } from "../gemini/errors.ts";

/** What the SDK is told of its connection. */
type SocketCallbacks = {
  readonly onopen: () => void;
  readonly onmessage: (event: { data: string }) => void;
  readonly onerror: (event: { message: string }) => void;
  readonly onclose: (event: { code: number; reason: string }) => void;
};

/** What the SDK does with its connection. */
type SocketWire = { connect(): void; send(message: string): void; close(): void };

/** The socket of one Live connection, in the gateway's hands. */
export type LiveSocket = {
  /** Called by the SDK, once. The address bears the key. */
  create(url: string, headers: Record<string, string>, callbacks: SocketCallbacks): SocketWire;
  /** Resolves when the connection is over, however that came about. Never rejects. */
  readonly ended: Promise<SocketEnd>;
  readonly isOver: () => boolean;
  /** Stops and goes on taking what the server sends. */
  pause(): void;
  resume(): void;
  /** Drops the connection at once, without a parting word. */
  terminate(): void;
};

/** A message is a few frames of sound at most. */
const maxPayloadBytes = 16 * 1024 * 1024;

/**
 * Makes the socket for one Live connection. The SDK's own would say no more of a refusal than that
 * it was one, takes half a minute to close, and ends the process over a message that is no JSON.
 */
export function createLiveSocket(): LiveSocket {
  const over = Promise.withResolvers<SocketEnd>();
  let isOver = false;
  let socket: WebSocket | undefined;
  const end = (how: SocketEnd) => {
    isOver = true;
    over.resolve(how);
  };
  const terminate = () => {
    end({ kind: "broken", code: undefined });
    socket?.terminate();
  };
  const fail = (how: SocketEnd) => {
    end(how);
    socket?.terminate();
  };
  const connect = (url: string, headers: Record<string, string>, callbacks: SocketCallbacks) => {
    if (isOver) return;
    socket = new WebSocket(url, { headers, maxPayload: maxPayloadBytes, perMessageDeflate: false });
    listen(socket, callbacks, { end, fail, isOver: () => isOver });
  };
  return {
    create: (url, headers, callbacks) => ({
      connect: () => connect(url, headers, callbacks),
      send: (message) => socket?.send(message),
      close: terminate,
    }),
    ended: over.promise,
    isOver: () => isOver,
    pause: () => socket?.pause(),
    resume: () => socket?.resume(),
    terminate,
  };
}

type Ends = Record<"end" | "fail", (how: SocketEnd) => void> & { readonly isOver: () => boolean };

function listen(socket: WebSocket, callbacks: SocketCallbacks, ends: Ends): void {
  const { end, fail, isOver } = ends;
  socket.on("open", callbacks.onopen);
  socket.on("unexpected-response", (_request, { statusCode = 0, headers }) => {
    const failure = { status: statusCode, retryAfter: headers["retry-after"] };
    fail({ kind: "http", failure });
  });
  socket.on("error", (error) => {
    end({ kind: "broken", code: "code" in error ? String(error.code) : undefined });
    callbacks.onerror({ message: "the connection failed" });
  });
  socket.on("close", (code, reason) => {
    end({ kind: "closed", code, reason: reason.toString() });
    callbacks.onclose({ code, reason: "" });
  });
  socket.on("message", (data) => {
    if (isOver()) return;
    const text = data.toString();
    if (isJsonObject(text)) callbacks.onmessage({ data: text });
    else fail({ kind: "unreadable" });
  });
}

/** The SDK parses in a promise that nobody holds: what it cannot parse would end the process. */
function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}
