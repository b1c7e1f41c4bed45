import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import type { ProviderError } from "../../core/errors.ts";
import { brokenFault, closeFault, kindOf, type Refusal, refusalFault } from "./errors.ts";

/** Where a speech socket connects to, and what it presents there. */
export type SpeechSocketOptions = {
  /** The tier's name, for errors. */
  readonly provider: string;
  /** A `ws:` or `wss:` address. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** To the end of the handshake. */
  readonly connectTimeoutMs: number;
  /** Told of every message, in order, until the socket is over. */
  readonly onMessage: (message: SpeechMessage) => void;
  /** Told of an answer that was no WebSocket, before the socket ends for it. */
  readonly onRefusal?: (refusal: Refusal) => void;
};

/** One connection to a speech service, of Azure or of Edge: their framing is the same. */
export type SpeechSocket = {
  /** Resolves when messages can be sent; rejects with the `ProviderError` that ended it before. */
  readonly opened: Promise<void>;
  /** Resolves with the reason when the connection is over, however that came about. Never rejects. */
  readonly ended: Promise<ProviderError>;
  isOpen(): boolean;
  send(message: string): void;
  /** Stops and goes on taking what the service sends. */
  pause(): void;
  resume(): void;
  /** Drops the connection at once, without a parting word. */
  terminate(): void;
};

/** A message holds a second or two of sound at most. */
const maxPayloadBytes = 4 * 1024 * 1024;
/** Of a refusal's text, what is looked at. */
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
    () => end(kindOf(provider, "timeout", { told: "no connection" })),
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
    terminate: () => end(brokenFault(provider, undefined)),
  };
}

type Ends = { end(error: ProviderError): void; isOver(): boolean };

function listen(socket: WebSocket, options: SpeechSocketOptions, { end, isOver }: Ends): void {
  const { provider, onMessage, onRefusal } = options;
  socket.on("unexpected-response", async (_request, response) => {
    const refusal = await readRefusal(response);
    onRefusal?.(refusal);
    end(refusalFault(provider, refusal));
  });
  // It stays after the end: a socket that is dropped while it connects says so as an error.
  socket.on("error", (error) => {
    end(brokenFault(provider, "code" in error ? String(error.code) : undefined));
  });
  socket.on("close", (code, reason) => end(closeFault(provider, code, reason.toString())));
  socket.on("message", (data, isBinary) => {
    if (isOver()) return;
    try {
      onMessage(parseMessage(isBinary ? bytesOf(data) : data.toString()));
    } catch {
      end(kindOf(provider, "protocol"));
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
    // Cut short: the status says enough.
  }
  return { status: statusCode, retryAfter: headers["retry-after"], date: headers.date, body };
}

/**
 * A message of Microsoft's speech protocol: headers and a body, in a text message of a WebSocket, or
 * in a binary one whose first two bytes tell how long the headers are.
 */
export type SpeechMessage = {
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
};

const textBorder = "\r\n\r\n";

/** Reads a message. Throws a SyntaxError if that is none, or its JSON cannot be read. */
export function parseMessage(data: string | Uint8Array): SpeechMessage {
  const message = typeof data === "string" ? parseText(data) : parseBinary(data);
  const { path } = message.headers;
  if (path === undefined) throw new SyntaxError("a message without a path");
  if (typeof message.body === "string" && /^audio\.metadata$|^response$/.test(path)) {
    JSON.parse(message.body);
  }
  return message;
}

/** Writes a text message. */
export function formatMessage(headers: Readonly<Record<string, string>>, body: string): string {
  const connections = Object.entries(headers).map(([name, value]) => `${name}:${value}\r\n`);
  return `${connections.join("")}\r\n${body}`;
}

function parseText(data: string): SpeechMessage {
  const border = data.indexOf(textBorder);
  if (border === -1) throw new SyntaxError("a message without an end of its headers");
  return {
    headers: parseHeaders(data.slice(0, border)),
    body: data.slice(border + textBorder.length),
  };
}

function parseBinary(data: Uint8Array): SpeechMessage {
  const headersLength = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  const bodyStart = headersLength + 2;
  if (data.length < 2 || data.length < bodyStart) throw new SyntaxError("a message cut short");
  return {
    headers: parseHeaders(new TextDecoder().decode(data.subarray(2, bodyStart))),
    body: data.subarray(bodyStart),
  };
}

function parseHeaders(connections: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const connection of connections.split("\r\n")) {
    const colon = connection.indexOf(":");
    if (colon > 0)
      headers[connection.slice(0, colon).trim().toLowerCase()] = connection.slice(colon + 1).trim();
  }
  return headers;
}
