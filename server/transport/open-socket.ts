import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { createChannel, onAbort, TurnCancelled } from "../core/async.ts";
import { LimitExceeded } from "../core/errors.ts";
import type { WebSocketChannel, WebSocketMessage } from "../core/web-socket.ts";

/** When a WebSocket is cut off, and who hears of it. */
export type SocketLimits = {
  /** How often the client is pinged. One that is silent until the next ping is disconnected. */
  readonly pingIntervalMs: number;
  /** A connection over which no message goes for this long is closed, even if it answers pings. */
  readonly idleTimeoutMs: number;
  /** A client that takes nothing of what waits for it for this long is cut off. */
  readonly stallTimeoutMs: number;
  /** Called before a client that stopped reading is cut off. */
  readonly onStall: (request: IncomingMessage) => void;
  /** Fires when the client's token is revoked: then the connection is closed (1008). */
  readonly revoked?: AbortSignal | undefined;
  /** Counts a message of so many bytes. If it throws `LimitExceeded`, the connection is closed (1013). */
  readonly countMessage?: (bytes: number) => void;
};

/** An open WebSocket, as its port keeps it. */
export type OpenSocket = {
  readonly channel: WebSocketChannel;
  /** Pings a client that is due, and cuts off one that is silent, idle or stalled. */
  check(): void;
};

/** Bytes that may wait for the route before the client is no longer read. */
const MAX_WAITING_BYTES = 64 * 1024;
/** What a message counts at least, so that empty ones are bounded too. */
const MIN_MESSAGE_BYTES = 64;
// As for responses: a waiting message gets the time of this rate on top of the stall timeout.
const MIN_BYTES_PER_SECOND = 64 * 1024;

/** Takes a WebSocket that has just been opened. Its errors close it, nothing more. */
export function openSocket(
  webSocket: WebSocket,
  request: IncomingMessage,
  limits: SocketLimits,
): OpenSocket {
  const { socket } = request;
  const closed = new AbortController();
  const messages = receive(webSocket, limits.countMessage);
  let lastMs = performance.now();
  const touch = () => {
    lastMs = performance.now();
  };
  webSocket.on("error", () => undefined);
  webSocket.on("message", touch);
  webSocket.once("close", () => {
    messages.end();
    closed.abort(new TurnCancelled("disconnected"));
    forgetRevocation();
  });
  const revoke = (reason: unknown) => {
    closed.abort(reason);
    webSocket.close(1008, "the token was revoked");
  };
  const forgetRevocation = limits.revoked ? onAbort(limits.revoked, revoke) : () => undefined;
  const drained = () =>
    new Promise<void>((resolve) => {
      const release = () => {
        socket.off("drain", release);
        webSocket.off("close", release);
        resolve();
      };
      socket.once("drain", release);
      webSocket.once("close", release);
    });
  const cutOff = () => {
    limits.onStall(request);
    webSocket.terminate();
  };
  const checkStall = createStallCheck(() => (socket.writableNeedDrain ? socket.writableLength : 0));
  const checkLife = createLifeCheck(webSocket, limits.pingIntervalMs);
  return {
    channel: {
      messages: messages.read,
      signal: closed.signal,
      subprotocol: webSocket.protocol,
      async send(message) {
        if (webSocket.readyState !== WebSocket.OPEN) throw new TurnCancelled("disconnected");
        touch();
        webSocket.send(message);
        if (socket.writableNeedDrain) await drained();
        closed.signal.throwIfAborted();
      },
      close: (code, reason) => webSocket.close(code, reason),
    },
    check() {
      const nowMs = performance.now();
      if (checkStall(nowMs, limits.stallTimeoutMs)) cutOff();
      else if (nowMs - lastMs > limits.idleTimeoutMs) webSocket.close(1001, "idle for too long");
      else checkLife(nowMs);
    },
  };
}

/** Queues what the client sends. While much waits, the client is not read. */
function receive(webSocket: WebSocket, countMessage: (bytes: number) => void = () => undefined) {
  let waitingBytes = 0;
  const { signal } = new AbortController();
  const queue = createChannel<WebSocketMessage>(Number.POSITIVE_INFINITY, signal);
  const count = (message: WebSocketMessage, sign: 1 | -1) => {
    waitingBytes += sign * Math.max(MIN_MESSAGE_BYTES, message.length);
    if (waitingBytes > MAX_WAITING_BYTES) webSocket.pause();
    else if (webSocket.isPaused) webSocket.resume();
  };
  webSocket.on("message", (data: Buffer, isBinary) => {
    try {
      countMessage(data.length);
    } catch (error) {
      // Those that are under way when it closes come here too.
      if (!(error instanceof LimitExceeded)) throw error;
      return webSocket.close(1013, error.message);
    }
    const message = isBinary ? data : data.toString();
    count(message, 1);
    void queue.push(message);
  });
  const read = async function* () {
    for await (const message of queue) {
      count(message, -1);
      yield message;
    }
  };
  return { read: read(), end: () => queue.close() };
}

/** Whether what waits for the client has been waiting for too long: none of it was taken. */
function createStallCheck(waitingBytes: () => number) {
  let waiting = 0;
  let deadlineMs: number | undefined;
  return (nowMs: number, timeoutMs: number): boolean => {
    const bytes = waitingBytes();
    if (bytes === 0 || bytes < waiting) deadlineMs = undefined;
    waiting = bytes;
    if (bytes === 0) return false;
    deadlineMs ??= nowMs + timeoutMs + (bytes / MIN_BYTES_PER_SECOND) * 1000;
    return nowMs >= deadlineMs;
  };
}

/** Pings, and disconnects a client from which nothing came since the last ping. */
function createLifeCheck(webSocket: WebSocket, intervalMs: number) {
  let isAlive = true;
  let pingedMs = performance.now();
  for (const event of ["message", "ping", "pong"]) {
    webSocket.on(event, () => {
      isAlive = true;
    });
  }
  return (nowMs: number) => {
    if (nowMs - pingedMs < intervalMs || webSocket.readyState !== WebSocket.OPEN) return;
    // One that is not read cannot answer.
    if (!isAlive && !webSocket.isPaused) return webSocket.terminate();
    isAlive = false;
    pingedMs = nowMs;
    webSocket.ping();
  };
}
