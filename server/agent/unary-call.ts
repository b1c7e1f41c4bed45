import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import {
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { validateResponse, validateTrailer } from "@connectrpc/connect/protocol-grpc";
import type { Http2SessionManager } from "@connectrpc/connect-node";
import { abortable, onAbort } from "../core/async.ts";
import { tooLate } from "./call-errors.ts";

/** How long a call may take, and what may end it before. */
export type CallLimits = { readonly signal: AbortSignal; readonly timeoutMs: number };

const PREFIX_BYTES = 5;

/**
 * Makes unary gRPC calls over a connection. It does what connect's own transport does, in a fifth of
 * its time: that transport passes each message through a dozen iterables. Throws a `ConnectError`, a
 * connection's error, or the signal's reason.
 */
export function createUnaryCaller(sessions: Http2SessionManager, maxMessageBytes: number) {
  return async <I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    message: MessageShape<I>,
    { signal, timeoutMs }: CallLimits,
  ): Promise<MessageShape<O>> => {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(tooLate()), timeoutMs);
    const forget = onAbort(signal, (reason) => over.abort(reason));
    try {
      const path = `/${method.parent.typeName}/${method.name}`;
      const opening = sessions.request("POST", path, headersOf(timeoutMs), {});
      const stream = await abortable(opening, over.signal).catch((error) => {
        opening.then(
          (late) => late.destroy(),
          () => undefined,
        );
        throw error;
      });
      const request = envelope(toBinary(method.input, message));
      const bytes = await exchange(stream, request, {
        sessions,
        maxMessageBytes,
        signal: over.signal,
      });
      return parse(method.output, bytes);
    } finally {
      clearTimeout(timer);
      forget();
    }
  };
}

/** Makes a unary call. */
export type UnaryCaller = ReturnType<typeof createUnaryCaller>;

function headersOf(timeoutMs: number) {
  return {
    "content-type": "application/grpc+proto",
    te: "trailers",
    "grpc-timeout": `${Math.max(0, Math.ceil(timeoutMs))}m`,
  };
}

function envelope(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
}

type ExchangeOptions = {
  readonly sessions: Http2SessionManager;
  readonly maxMessageBytes: number;
  readonly signal: AbortSignal;
};

/** Sends the request, and resolves with the message of the response. Leaves no stream open. */
function exchange(
  stream: ClientHttp2Stream,
  request: Buffer,
  { sessions, maxMessageBytes, signal }: ExchangeOptions,
): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const answer = createAnswer(maxMessageBytes);
  const fail = (error: unknown) => {
    reject(error);
    stream.close(constants.NGHTTP2_CANCEL);
  };
  const attempt = (step: () => void) => {
    try {
      step();
    } catch (error) {
      fail(error);
    }
  };
  const forget = onAbort(signal, fail);
  stream
    .on("response", (headers) => attempt(() => answer.takeHeaders(headers)))
    .on("data", (bytes: Buffer) => {
      sessions.notifyResponseByteRead(stream);
      attempt(() => answer.takeBytes(bytes));
    })
    .on("trailers", (trailers) => attempt(() => answer.takeTrailers(trailers)))
    .on("end", () => attempt(() => resolve(answer.message())))
    .on("error", fail)
    .once("close", () => {
      forget();
      if (!answer.isComplete()) {
        reject(new ConnectError("the connection was lost", Code.Unavailable));
      }
    });
  stream.end(request);
  return promise;
}

function parse<O extends DescMessage>(schema: O, bytes: Uint8Array): MessageShape<O> {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (cause) {
    const text = "parse binary: the answer cannot be read";
    throw new ConnectError(text, Code.InvalidArgument, undefined, undefined, cause);
  }
}

/** What a response has said so far. Throws what is wrong with it, or the error that it tells. */
function createAnswer(maxBytes: number) {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let header = new Headers();
  let hasStatus = false;
  let isComplete = false;
  return {
    takeHeaders(headers: IncomingHttpHeaders) {
      header = toHeaders(headers);
      const { foundStatus, headerError } = validateResponse(Number(headers[":status"]), header);
      if (headerError) throw headerError;
      hasStatus = foundStatus;
    },
    takeBytes(piece: Buffer) {
      bytes += piece.length;
      if (bytes > maxBytes + PREFIX_BYTES) {
        const rule = `the answer must be at most ${maxBytes} bytes`;
        throw new ConnectError(rule, Code.ResourceExhausted);
      }
      pieces.push(piece);
    },
    takeTrailers(trailers: IncomingHttpHeaders) {
      validateTrailer(toHeaders(trailers), header);
      hasStatus = true;
    },
    isComplete: () => isComplete,
    message(): Uint8Array {
      isComplete = true;
      if (!hasStatus) throw new ConnectError("protocol error: no status came", Code.Internal);
      return openEnvelope(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
    },
  };
}

function openEnvelope(body: Buffer): Uint8Array {
  const isWhole =
    body.length >= PREFIX_BYTES && body.readUInt32BE(1) === body.length - PREFIX_BYTES;
  if (!isWhole || body[0] !== 0) {
    throw new ConnectError("parse binary: no single plain message came", Code.InvalidArgument);
  }
  return body.subarray(PREFIX_BYTES);
}

function toHeaders(headers: IncomingHttpHeaders): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(":") && value !== undefined) all.set(name, String(value));
  }
  return all;
}
