import { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";

/** A request of Node's HTTP/1.1 server, or of its HTTP/2 server in the compatibility API. */
export type PortRequest = IncomingMessage | Http2ServerRequest;

/** The response to a `PortRequest`. */
export type PortResponse = ServerResponse | Http2ServerResponse;

/** Answers one request. If it throws or rejects, the port answers 500. */
export type Handle = (request: PortRequest, response: PortResponse) => void;

/** Whether the request came over HTTP/1.0 or 1.1. */
export function isHttp1(request: PortRequest): request is IncomingMessage {
  return request instanceof IncomingMessage;
}

/** Whether the response goes out over HTTP/1.0 or 1.1. */
export function isHttp1Response(response: PortResponse): response is ServerResponse {
  return response instanceof ServerResponse;
}

/** The requests that a port is answering, each until its response is closed. */
export type InFlightRequests = {
  /** Wraps a handler: every request that goes through it is tracked. */
  track(handle: Handle): Handle;
  /** Starts the timer that looks for stalled and late requests. It keeps no process alive. */
  start(): void;
  /** From now on every HTTP/1.1 response is the last on its connection. */
  goAway(): void;
  /** The same, and `onClosed` is called after each request, when its connection may have become idle. */
  drain(onClosed: () => void): void;
  stop(): void;
};

/** When a request is cut off. */
export type InFlightLimits = {
  /** How long a client may take nothing of a response that waits for it. */
  readonly stallTimeoutMs: number;
  /** How long an HTTP/2 request may take to arrive. Node's own timeout covers HTTP/1.1. */
  readonly requestTimeoutMs: number;
  /** Called before a stalled response is cut off. */
  readonly onStall: (request: PortRequest) => void;
};

type InFlightRequest = {
  readonly request: PortRequest;
  readonly response: PortResponse;
  readonly startMs: number;
  /** When a response that waits for its client is cut off. Undefined while it does not wait. */
  stallDeadlineMs?: number | undefined;
};

/** Creates the tracker of a port's requests. Connections and streams bound their number. */
export function createInFlightRequests(limits: InFlightLimits): InFlightRequests {
  const open = new Set<InFlightRequest>();
  let timer: NodeJS.Timeout | undefined;
  let isGoingAway = false;
  let onClosed: (() => void) | undefined;
  const goAway = () => {
    isGoingAway = true;
    for (const { response } of open) makeLast(response);
  };

  return {
    track: (handle) => (request, response) => {
      const inFlight = { request, response, startMs: performance.now() };
      open.add(inFlight);
      followResponse(inFlight, () => {
        open.delete(inFlight);
        if (onClosed) setImmediate(onClosed);
      });
      if (isGoingAway) makeLast(response);
      handle(request, response);
    },
    start() {
      const intervalMs = Math.min(limits.stallTimeoutMs, limits.requestTimeoutMs, 4000) / 4;
      timer = setInterval(() => cutOffLate(open, limits), intervalMs).unref();
    },
    goAway,
    drain(listener) {
      onClosed = listener;
      goAway();
    },
    stop: () => clearInterval(timer),
  };
}

/**
 * Fails writes to a response whose client has disconnected, always with code ECONNRESET: the RPC
 * adapter recognizes that code and does not log it. Calls `onTaken` after a write with a callback, when
 * the client has taken it.
 */
function reportClientDisconnect(response: PortResponse, onTaken: () => void): void {
  const write: LooseWrite = response.write.bind(response);
  const reporting: LooseWrite = (chunk, ...rest) =>
    write(chunk, ...rest.map((argument) => translate(argument, onTaken)));
  response.write = reporting as typeof response.write;
  // Only the writer needs the error. Without a writer, an unhandled error would end the process.
  response.on("error", () => undefined);
  response.once("close", () => process.nextTick(failWaitingWrite, response));
}

/** `write` without its overloads: the rest is an encoding, a callback, both or nothing. */
type LooseWrite = (chunk: string, ...rest: never[]) => boolean;

// Errors of a write that was pending when the connection or the stream was closed.
const disconnectCodes = new Set<unknown>(["ECANCELED", "EPIPE"]);

function translate(argument: unknown, onTaken: () => void): never {
  if (typeof argument !== "function") return argument as never;
  const translating = (error: unknown) => {
    if (!error) onTaken();
    argument(isClientDisconnect(error) ? clientDisconnected(error) : error);
  };
  return translating as never;
}

function isClientDisconnect(error: unknown): boolean {
  return error instanceof Error && "code" in error && disconnectCodes.has(error.code);
}

function clientDisconnected(cause?: unknown): Error {
  const error = new Error("the client disconnected before the response was complete", { cause });
  return Object.assign(error, { code: "ECONNRESET" });
}

/**
 * Fails a write that still waits for `drain` on a closed response. Node may emit `close` alone, as
 * for HTTP/1.1 responses queued behind another one. The adapter does not listen for it, so its
 * handler would wait forever.
 */
function failWaitingWrite(response: PortResponse): void {
  if (response.listenerCount("drain") > 0) response.emit("error", clientDisconnected());
}

/** Ends a stall when the client takes something. Calls `onClose` when the response is closed. */
function followResponse(inFlight: InFlightRequest, onClose: () => void): void {
  const { response } = inFlight;
  const endStall = () => {
    inFlight.stallDeadlineMs = undefined;
  };
  reportClientDisconnect(response, endStall);
  response.on("drain", endStall);
  response.once("close", () => {
    response.off("drain", endStall);
    onClose();
  });
}

function makeLast(response: PortResponse): void {
  if (isHttp1Response(response)) response.shouldKeepAlive = false;
}

function cutOffLate(open: ReadonlySet<InFlightRequest>, limits: InFlightLimits): void {
  const nowMs = performance.now();
  for (const inFlight of open) {
    if (isStalled(inFlight, nowMs, limits.stallTimeoutMs)) {
      limits.onStall(inFlight.request);
      cutOff(inFlight);
    } else if (isLate(inFlight, nowMs - limits.requestTimeoutMs)) {
      cutOff(inFlight);
    }
  }
}

// A waiting response gets the time of this rate on top of the stall timeout. It drains as a whole or
// not at all, so a large message on a slow line would otherwise count as stalled.
const MIN_BYTES_PER_SECOND = 64 * 1024;

function isStalled(inFlight: InFlightRequest, nowMs: number, stallTimeoutMs: number): boolean {
  const { response } = inFlight;
  if (!waitsForClient(response)) {
    inFlight.stallDeadlineMs = undefined;
    return false;
  }
  const transferMs = (response.writableLength / MIN_BYTES_PER_SECOND) * 1000;
  inFlight.stallDeadlineMs ??= nowMs + stallTimeoutMs + transferMs;
  return nowMs >= inFlight.stallDeadlineMs;
}

function waitsForClient(response: PortResponse): boolean {
  if (response.writableEnded) return response.writableLength > 0;
  // A writer may wait before the stream is full. `followResponse` is the first to listen.
  const writers = response.listenerCount("drain") - 1;
  return response.writableNeedDrain || (writers > 0 && response.writableLength > 0);
}

/** An HTTP/2 request that started before `latestStartMs` and has not arrived in full. */
function isLate({ request, startMs }: InFlightRequest, latestStartMs: number): boolean {
  if (isHttp1(request) || startMs > latestStartMs || request.complete) return false;
  return request.stream.state.remoteClose !== 1;
}

function cutOff({ request }: InFlightRequest): void {
  if (isHttp1(request)) {
    request.socket.destroy();
    return;
  }
  // Do not wait for the reset to go out: a client that reads nothing never takes it.
  request.stream.close(constants.NGHTTP2_CANCEL);
  request.stream.destroy();
}
