import { WebSocket } from "ws";
import { abortable } from "../../core/async.ts";
import type { SocketCallbacks, SocketFactory } from "../gemini/client.ts";
import type { SocketEnd } from "../gemini/errors.ts";

/** The WebSocket of one Live connection. The SDK calls `create` once. */
export type LiveSocket = SocketFactory & {
  /** Resolves when the connection ends. Never rejects. */
  readonly ended: Promise<SocketEnd>;
  readonly isOver: () => boolean;
  /** Stops reading from the server, until `resume`. */
  pause(): void;
  resume(): void;
  /** Closes the connection at once, without a close frame. */
  terminate(): void;
};

/** A message holds a few frames of audio at most. */
const maxPayloadBytes = 16 * 1024 * 1024;

/**
 * Creates the socket for one Live connection. The SDK's own hides why a handshake was refused, takes
 * 30 s to close, and ends the process at a message that is not JSON.
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

/** The SDK parses in a promise that nothing awaits: a parse error would end the process. */
function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

/** The messages of one reply, for its reader. */
export type MessageQueue<Message> = {
  /** Never waits: a socket delivers what it has read already. */
  push(message: Message): void;
  /** Ends the queue. The reader gets the queued messages, then the error. */
  fail(error: Error): void;
  /**
   * Waits for the next message; undefined if none comes within `waitMs`. Throws the signal's
   * reason as soon as it fires, and the error of `fail`.
   */
  next(signal: AbortSignal, waitMs?: number): Promise<Message | undefined>;
};

/** About 3 s of audio. */
const highWaterMark = 64;
const lowWaterMark = 16;

/** Creates a queue that pauses its socket above the high water mark, so that memory is bounded. */
export function createMessageQueue<Message>(
  socket: Pick<LiveSocket, "pause" | "resume">,
): MessageQueue<Message> {
  const queued: Message[] = [];
  let failure: Error | undefined;
  let wake = () => {};
  let isPaused = false;

  const waitFor = async (signal: AbortSignal, waitMs: number | undefined) => {
    const arrived = Promise.withResolvers<void>();
    wake = arrived.resolve;
    const timer = waitMs === undefined ? undefined : setTimeout(arrived.resolve, waitMs);
    try {
      await abortable(arrived.promise, signal);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    push(message) {
      queued.push(message);
      if (queued.length >= highWaterMark && !isPaused) {
        isPaused = true;
        socket.pause();
      }
      wake();
    },
    fail(error) {
      failure ??= error;
      wake();
    },
    async next(signal, waitMs) {
      if (queued.length === 0 && !failure) await waitFor(signal, waitMs);
      signal.throwIfAborted();
      const [message] = queued.splice(0, 1);
      if (message === undefined && failure) throw failure;
      if (isPaused && queued.length <= lowWaterMark) {
        isPaused = false;
        socket.resume();
      }
      return message;
    },
  };
}
