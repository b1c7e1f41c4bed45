import { type IncomingMessage, request as requestHttp1 } from "node:http";
import { connect, type IncomingHttpHeaders } from "node:http2";
import type { Readable } from "node:stream";
import type { ComparedRequest } from "./requests.ts";

/** How a request was answered. */
export type Exchange = {
  readonly status: number | undefined;
  /** Without those that tell the time or belong to the connection. */
  readonly headers: IncomingHttpHeaders;
  /** The body, decoded if it was base64. */
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
  /** False if the client left before the end, or the server cut the response. */
  readonly complete: boolean;
};

/** A client that waits in vain for the message after which it leaves does so after this long. */
const SILENCE_MS = 20_000;

/** Sends the request over one version of HTTP, and reads until it leaves or the response ends. */
export type Exchanger = (port: number, request: ComparedRequest) => Promise<Exchange>;

/** Both versions. */
export const versions: Readonly<Record<string, Exchanger>> = {
  "HTTP/1.1": exchangeHttp1,
  "HTTP/2": exchangeHttp2,
};

async function exchangeHttp1(port: number, request: ComparedRequest): Promise<Exchange> {
  const { method, path, headers, body, withoutLength } = request;
  const length = withoutLength ? {} : { "content-length": body.length };
  const call = requestHttp1({
    port,
    method,
    path,
    agent: false,
    headers: { ...headers, ...length, connection: "close" },
  });
  call.on("error", () => undefined);
  call.end(body);
  const leave = () => void call.destroy();
  if (request.leavesAfter === 0) setTimeout(leave, 1);
  const response = await new Promise<IncomingMessage | undefined>((resolve) => {
    call.once("response", resolve).once("close", () => resolve(undefined));
  });
  if (!response) return { ...nothing };
  const pieces = await readPieces(response, { request, leave });
  return {
    status: response.statusCode,
    headers: relevant(response.headers),
    body: decode(pieces, response.headers),
    trailers: response.trailers,
    complete: response.complete,
  };
}

async function exchangeHttp2(port: number, request: ComparedRequest): Promise<Exchange> {
  const { method, path, headers, body, withoutLength } = request;
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  try {
    const length = withoutLength ? {} : { "content-length": body.length };
    const stream = session.request({ ":method": method, ":path": path, ...headers, ...length });
    stream.on("error", () => undefined);
    const leave = () => stream.close(8);
    let answered: IncomingHttpHeaders & { ":status"?: number | undefined } = {};
    let trailers: IncomingHttpHeaders = {};
    stream.once("response", (fields) => {
      answered = fields;
    });
    stream.once("trailers", (fields) => {
      trailers = fields;
    });
    if (!stream.writableEnded) stream.end(body);
    if (request.leavesAfter === 0) setTimeout(leave, 1);
    const pieces = await readPieces(stream, { request, leave });
    return {
      status: answered[":status"],
      headers: relevant(answered),
      body: decode(pieces, answered),
      trailers: relevant(trailers),
      complete: stream.rstCode === 0,
    };
  } finally {
    session.destroy();
  }
}

const nothing: Exchange = {
  status: undefined,
  headers: {},
  body: Buffer.alloc(0),
  trailers: {},
  complete: false,
};

const irrelevant = ["date", "connection", "keep-alive"];

function relevant(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !irrelevant.includes(name)));
}

type Reading = { readonly request: ComparedRequest; leave(): void };

async function readPieces(response: Readable, { request, leave }: Reading): Promise<Buffer[]> {
  const { leavesAfter } = request;
  const pieces: Buffer[] = [];
  let timer: NodeJS.Timeout | undefined;
  const listen = () => {
    clearTimeout(timer);
    if (leavesAfter !== undefined) timer = setTimeout(leave, SILENCE_MS);
  };
  const isText = String(request.headers["content-type"]).includes("-text");
  response.on("data", (piece: Buffer) => {
    pieces.push(piece);
    if (leavesAfter === undefined) return;
    listen();
    const body = isText ? decodeBase64(Buffer.concat(pieces)) : Buffer.concat(pieces);
    if (splitEnvelopes(body).length >= leavesAfter) leave();
  });
  response.on("error", () => undefined);
  listen();
  if (!response.closed) await new Promise<void>((resolve) => response.once("close", resolve));
  clearTimeout(timer);
  return pieces;
}

function decode(pieces: readonly Buffer[], headers: IncomingHttpHeaders): Buffer {
  const body = Buffer.concat(pieces);
  return headers["content-type"]?.includes("-text") ? decodeBase64(body) : body;
}

/** Base64 that is padded after each write: the two ways write in other pieces. */
function decodeBase64(body: Buffer): Buffer {
  const groups = body.toString("latin1").match(/[^=]+=*/g) ?? [];
  return Buffer.concat(groups.map((group) => Buffer.from(group, "base64")));
}

/** The complete envelopes of a body, each with its prefix. */
export function splitEnvelopes(body: Buffer): readonly Buffer[] {
  const envelopes: Buffer[] = [];
  for (let at = 0; at + 5 <= body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    if (end > body.length) break;
    envelopes.push(body.subarray(at, end));
    at = end;
  }
  return envelopes;
}
