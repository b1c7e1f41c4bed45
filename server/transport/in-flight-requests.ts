import { constants } from "node:http2";
import type { Socket } from "node:net";
import { reportClientDisconnect } from "./client-disconnect.ts";
import {
  type Handle,
  isHttp1,
  isHttp1Response,
  type PortRequest,
  type PortResponse,
} from "./request.ts";

// A parked response is given this pace on top of the stall time-out, or a big message on a slow
// line would count as stalled: it drains as a whole or not at all.
const slowestBytesPerSecond = 64 * 1024;

/** The requests that a port is answering, each until its response is closed. */
export type InFlightRequests = {
  /** Stands before a handler and watches over what goes through. */
  watch(handle: Handle): Handle;
  /** Starts the timer that looks for stalled and overdue ones. It keeps no process alive. */
  start(): void;
  /**
   * From now on every HTTP/1.1 response is the last on its connection, and `onClosed` is called
   * after each in-flight request, when its connection may have become idle.
   */
  drain(onClosed: () => void): void;
  stop(): void;
};

/** When an in-flight request is cut off, and who is told. */
export type InFlightLimits = {
  /** A response of which the client takes nothing for this long is cut off. */
  readonly stallTimeoutMs: number;
  /** An HTTP/2 request that is not whole by then is cut off. HTTP/1.1's are Node's to cut. */
  readonly requestTimeoutMs: number;
  /** HTTP/1.1 requests that may wait behind another one. With one more, the connection is cut off. */
  readonly maxPipelined: number;
  /** Called before a stalled response is cut off. */
  readonly onStall: (request: PortRequest) => void;
};

type InFlightRequest = {
  readonly request: PortRequest;
  readonly response: PortResponse;
  readonly sinceMs: number;
  /** When a response that waits for its client is cut off; undefined while it does not wait. */
  stalledAtMs?: number | undefined;
};

/** Makes the watch over a port's inFlight. */
export function createInFlightRequests(rules: InFlightLimits): InFlightRequests {
  const open = new Set<InFlightRequest>();
  let timer: NodeJS.Timeout | undefined;
  let onClosed: (() => void) | undefined;

  const add = (inFlightRequest: InFlightRequest) => {
    open.add(inFlightRequest);
    follow(inFlightRequest, () => {
      open.delete(inFlightRequest);
      if (onClosed) setImmediate(onClosed);
    });
  };

  return {
    watch: (handle) => (request, response) => {
      if (isHttp1(request)) followHalfClose(request.socket, open);
      add({ request, response, sinceMs: performance.now() });
      if (onClosed) makeLast(response);
      inOrder(request, response, { handle, maxPipelined: rules.maxPipelined });
    },
    start() {
      const intervalMs = Math.min(rules.stallTimeoutMs, rules.requestTimeoutMs, 4000) / 4;
      timer = setInterval(() => cutOffLate(open, rules), intervalMs).unref();
    },
    drain(listener) {
      onClosed = listener;
      for (const { response } of open) makeLast(response);
    },
    stop: () => clearInterval(timer),
  };
}

/** Notes when the client takes something, and clears up when the response is closed. */
function follow(inFlightRequest: InFlightRequest, onClose: () => void): void {
  const { response } = inFlightRequest;
  reportClientDisconnect(response);
  const drained = () => {
    inFlightRequest.stalledAtMs = undefined;
  };
  response.on("drain", drained);
  response.once("close", () => {
    response.off("drain", drained);
    onClose();
  });
}

/**
 * Handles an HTTP/1.1 request that was pipelined behind another one only when that is answered. Both
 * at once would gain nothing, and a long answer that waits makes Node stop reading the connection:
 * then the client's departure would go unnoticed.
 */
function inOrder(request: PortRequest, response: PortResponse, pipeline: Pipeline): void {
  const { handle, maxPipelined } = pipeline;
  if (!isHttp1(request) || !isHttp1Response(response) || response.socket !== null) {
    handle(request, response);
    return;
  }
  const { socket } = request;
  const waiting = waitingOn.get(socket) ?? 0;
  if (waiting >= maxPipelined) {
    socket.destroy();
    return;
  }
  waitingOn.set(socket, waiting + 1);
  response.once("socket", () => {
    waitingOn.set(socket, (waitingOn.get(socket) ?? 1) - 1);
    handle(request, response);
  });
}

type Pipeline = Pick<InFlightLimits, "maxPipelined"> & { readonly handle: Handle };

/** How many requests wait behind another one. A connection that ends takes its number with it. */
const waitingOn = new WeakMap<Socket, number>();

const followed = new WeakSet<Socket>();

/**
 * An HTTP/1.1 client that closes its half in the midst of a response has left, even if what it did
 * not read keeps its connection open. A response that is whole is left to it.
 */
function followHalfClose(socket: Socket, open: ReadonlySet<InFlightRequest>): void {
  if (followed.has(socket)) return;
  followed.add(socket);
  socket.once("end", () => {
    const own = open
      .values()
      .filter(({ request }) => isHttp1(request) && request.socket === socket);
    if (own.some(({ response }) => response.headersSent && !response.writableEnded))
      socket.destroy();
  });
}

function makeLast(response: PortResponse): void {
  if (isHttp1Response(response)) response.shouldKeepAlive = false;
}

function cutOffLate(open: Set<InFlightRequest>, rules: InFlightLimits): void {
  const nowMs = performance.now();
  for (const inFlightRequest of open) {
    if (isStalled(inFlightRequest, nowMs, rules.stallTimeoutMs)) {
      rules.onStall(inFlightRequest.request);
      cutOff(inFlightRequest);
    } else if (isOverdue(inFlightRequest, nowMs - rules.requestTimeoutMs)) {
      cutOff(inFlightRequest);
    }
  }
}

function isStalled(
  inFlightRequest: InFlightRequest,
  nowMs: number,
  stallTimeoutMs: number,
): boolean {
  const { response } = inFlightRequest;
  if (!waitsForClient(response)) {
    inFlightRequest.stalledAtMs = undefined;
    return false;
  }
  const paceMs = (response.writableLength / slowestBytesPerSecond) * 1000;
  inFlightRequest.stalledAtMs ??= nowMs + stallTimeoutMs + paceMs;
  return nowMs >= inFlightRequest.stalledAtMs;
}

function waitsForClient(response: PortResponse): boolean {
  if (response.writableEnded) return response.writableLength > 0;
  return response.writableNeedDrain;
}

function isOverdue({ request, sinceMs }: InFlightRequest, latestMs: number): boolean {
  if (isHttp1(request) || sinceMs > latestMs || request.complete) return false;
  return request.stream.state.remoteClose !== 1;
}

function cutOff({ request }: InFlightRequest): void {
  if (isHttp1(request)) {
    request.socket.destroy();
    return;
  }
  // The reset may never get out if the client reads nothing at all: do not wait for it.
  request.stream.close(constants.NGHTTP2_CANCEL);
  request.stream.destroy();
}
