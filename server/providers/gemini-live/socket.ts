import { WebSocket } from "ws";
import { abortable } from "../../core/async/abort.ts";
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

/** Messages that wait for the reader of one reply. */
export type Inbox<Message> = {
  /** Never waits: a socket hands over what it has read already. */
  put(message: Message): void;
  /** Ends it: the reader gets what is here, and then the error. */
  fail(error: Error): void;
  /**
   * Waits for the next message; undefined if none comes within `waitMs`. Throws the signal's
   * reason as soon as it fires, and the error of `fail`.
   */
  take(signal: AbortSignal, waitMs?: number): Promise<Message | undefined>;
};

/** Where the messages come from. */
export type Source = { pause(): void; resume(): void };

/** About 3 s of sound. */
const highWater = 64;
const lowWater = 16;

/** Makes an inbox that stops its source while too much waits, so that a slow reader slows it. */
export function createInbox<Message>(source: Source): Inbox<Message> {
  const waiting: Message[] = [];
  let failure: Error | undefined;
  let wake = () => {};
  let paused = false;

  const waitFor = async (signal: AbortSignal, waitMs: number | undefined) => {
    const come = Promise.withResolvers<void>();
    wake = come.resolve;
    const timer = waitMs === undefined ? undefined : setTimeout(come.resolve, waitMs);
    try {
      await abortable(come.promise, signal);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    put(message) {
      waiting.push(message);
      if (waiting.length >= highWater && !paused) {
        paused = true;
        source.pause();
      }
      wake();
    },
    fail(error) {
      failure ??= error;
      wake();
    },
    async take(signal, waitMs) {
      if (waiting.length === 0 && !failure) await waitFor(signal, waitMs);
      signal.throwIfAborted();
      const [message] = waiting.splice(0, 1);
      if (message === undefined && failure) throw failure;
      if (paused && waiting.length <= lowWater) {
        paused = false;
        source.resume();
      }
      return message;
    },
  };
}
