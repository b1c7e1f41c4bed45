import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { createChannel } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import { brokenError, closeError, type Refusal, refusalError, speechError } from "./errors.ts";

/**
 * A message of Microsoft's speech protocol: headers and a body. It travels in a text frame, or in a
 * binary frame that begins with the length of the headers in two bytes.
 */
export type SpeechMessage = {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
};

/** Options of a connection. */
export type SpeechSocketOptions = {
  /** The tier's name, for errors. */
  readonly provider: string;
  /** A `ws:` or `wss:` address. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Covers the handshake. */
  readonly connectTimeoutMs: number;
  /** Called with every message, in order, until the socket ends. */
  readonly onMessage: (message: SpeechMessage) => void;
  /** Called with a refused handshake, before the socket ends. */
  readonly onRefusal?: (refusal: Refusal) => void;
};

/** A connection to Azure's or Edge's speech service: both use the same protocol. */
export type SpeechSocket = {
  /** Resolves when messages can be sent; rejects with the `ProviderError` that prevented it. */
  readonly opened: Promise<void>;
  /** Resolves with the reason when the connection ends. Never rejects. */
  readonly ended: Promise<ProviderError>;
  isOpen(): boolean;
  send(message: string): void;
  /** Stops reading from the service, until `resume`. */
  pause(): void;
  resume(): void;
  /** Closes the connection at once, without a close frame. */
  terminate(): void;
};

/** A message holds a second or two of audio at most. */
const maxPayloadBytes = 4 * 1024 * 1024;
/** Characters of a refusal's body that are read. */
const maxBodyLength = 2_000;

/** Connects. */
export function openSpeechSocket(options: SpeechSocketOptions): SpeechSocket {
  const { provider, url, headers, connectTimeoutMs } = options;
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<ProviderError>();
  let isOver = false;
  const socket = new WebSocket(url, {
    headers,
    maxPayload: maxPayloadBytes,
    perMessageDeflate: false,
  });
  const end = (error: ProviderError) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    opened.reject(error);
    ended.resolve(error);
    socket.terminate();
  };
  const timer = setTimeout(
    () => end(speechError(provider, "timeout", { note: "not connected" })),
    connectTimeoutMs,
  );
  opened.promise.catch(() => undefined);
  socket.once("open", () => {
    clearTimeout(timer);
    opened.resolve();
  });
  listen(socket, options, { end, isOver: () => isOver });
  return {
    opened: opened.promise,
    ended: ended.promise,
    isOpen: () => !isOver && socket.readyState === WebSocket.OPEN,
    send: (message) => {
      if (!isOver) socket.send(message);
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    terminate: () => end(brokenError(provider, undefined)),
  };
}

type Ends = { end(error: ProviderError): void; isOver(): boolean };

function listen(socket: WebSocket, options: SpeechSocketOptions, { end, isOver }: Ends): void {
  const { provider, onMessage, onRefusal } = options;
  socket.on("unexpected-response", async (_request, response) => {
    const refusal = await readRefusal(response);
    onRefusal?.(refusal);
    end(refusalError(provider, refusal));
  });
  // Stays registered after the end: terminating a socket that is connecting emits an error.
  socket.on("error", (error) => {
    end(brokenError(provider, "code" in error ? String(error.code) : undefined));
  });
  socket.on("close", (code, reason) => end(closeError(provider, code, reason.toString())));
  socket.on("message", (data, isBinary) => {
    if (isOver()) return;
    try {
      onMessage(parseMessage(isBinary ? bytesOf(data) : data.toString()));
    } catch {
      end(speechError(provider, "protocol"));
    }
  });
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}

async function readRefusal(response: IncomingMessage): Promise<Refusal> {
  const { statusCode = 0, headers } = response;
  let body = "";
  try {
    for await (const piece of response.setEncoding("utf8")) {
      body += piece;
      if (body.length > maxBodyLength) break;
    }
  } catch {
    // The body broke off: the status is enough.
  }
  return { status: statusCode, retryAfter: headers["retry-after"], date: headers.date, body };
}

const headersEnd = "\r\n\r\n";

/** Parses a message. Throws a SyntaxError if it is malformed, or its JSON is. */
function parseMessage(data: string | Uint8Array): SpeechMessage {
  const message = typeof data === "string" ? parseText(data) : parseBinary(data);
  const { path } = message.headers;
  if (path === undefined) throw new SyntaxError("a message without a path");
  if (typeof message.body === "string" && /^audio\.metadata$|^response$/.test(path)) {
    JSON.parse(message.body);
  }
  return message;
}

/** Formats a text message. */
export function formatMessage(headers: Readonly<Record<string, string>>, body: string): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\r\n`);
  return `${lines.join("")}\r\n${body}`;
}

function parseText(data: string): SpeechMessage {
  const end = data.indexOf(headersEnd);
  if (end === -1) throw new SyntaxError("a message whose headers do not end");
  return { headers: parseHeaders(data.slice(0, end)), body: data.slice(end + headersEnd.length) };
}

function parseBinary(data: Uint8Array): SpeechMessage {
  const headersLength = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  const bodyStart = headersLength + 2;
  if (data.length < 2 || data.length < bodyStart) throw new SyntaxError("a truncated message");
  return {
    headers: parseHeaders(new TextDecoder().decode(data.subarray(2, bodyStart))),
    body: data.subarray(bodyStart),
  };
}

function parseHeaders(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0)
      headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return headers;
}

/** What a service has sent of one text and the reader has not taken yet. */
export type ReceiveBuffer<Item> = {
  push(item: Item): void;
  /** Ends it. The reader gets what is buffered, then the end or the error. */
  close(error?: ProviderError): void;
  /**
   * Yields the items. Throws a `timeout` error if the service sends nothing for `idleTimeoutMs`
   * while the reader waits, and the signal's reason as soon as it fires.
   */
  read(idleTimeoutMs: number): AsyncGenerator<Item>;
};

/** Options of a receive buffer. */
export type ReceiveBufferOptions<Item> = {
  readonly provider: string;
  readonly socket: Pick<SpeechSocket, "pause" | "resume">;
  /** Above this sum of sizes the socket is paused; below half of it, it is resumed. */
  readonly limit: number;
  readonly sizeOf: (item: Item) => number;
};

/** Creates a buffer that pauses its socket while the reader is behind, so that memory is bounded. */
export function createReceiveBuffer<Item>(
  { provider, socket, limit, sizeOf }: ReceiveBufferOptions<Item>,
  signal: AbortSignal,
): ReceiveBuffer<Item> {
  // The pause bounds it: a socket hands over what it has read already.
  const channel = createChannel<Item>(Number.POSITIVE_INFINITY, signal);
  let buffered = 0;
  return {
    push(item) {
      buffered += sizeOf(item);
      if (buffered > limit) socket.pause();
      channel.push(item);
    },
    close: channel.close,
    async *read(idleTimeoutMs) {
      const idle = new ProviderError(provider, "timeout", `idle for ${idleTimeoutMs} ms`);
      const iterator = channel[Symbol.asyncIterator]();
      try {
        for (;;) {
          const timer = setTimeout(() => channel.close(idle), idleTimeoutMs);
          const step = await iterator.next().finally(() => clearTimeout(timer));
          if (step.done) return;
          buffered -= sizeOf(step.value);
          if (buffered < limit / 2) socket.resume();
          yield step.value;
        }
      } finally {
        socket.resume();
        await iterator.return?.();
      }
    },
  };
}
