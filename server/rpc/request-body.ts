import { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { finished, type Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import {
  COMPRESSED_FLAG,
  createEnvelope,
  isComplete,
  PREFIX_BYTES,
  splitEnvelopes,
} from "../core/envelope.ts";
import { connectionOf } from "../core/http.ts";
import { checkBinary } from "./binary-check.ts";
import type { BodyBudget, Reservation } from "./body-budget.ts";
import {
  assembleBody,
  assembleEnvelopes,
  createEnvelopeBuffer,
  type EnvelopeAssembler,
} from "./envelopes.ts";
import { decodeBase64 } from "./grpc-web-text.ts";
import { inflate } from "./inflate.ts";
import { type DeferredStrings, deferLongStrings } from "./json-check.ts";
import type { ServedMethod } from "./message-limits.ts";
import { type BodyForm, bodyForm } from "./negotiation.ts";

/** An RPC's request, over HTTP/1.1 or HTTP/2. */
export type RpcRequest = IncomingMessage | Http2ServerRequest;

/** What request bodies are read with. */
export type BodyOptions = {
  /** The served methods by path. */
  readonly methods: ReadonlyMap<string, ServedMethod>;
  readonly budget: BodyBudget;
  /** A request's client address. */
  readonly addressOf: (request: RpcRequest) => string;
  /** Where a request's long JSON strings go. */
  readonly stringsOf: (request: RpcRequest) => DeferredStrings;
};

/**
 * Creates the function that prepares a request for the RPC adapter: iterating over the request then
 * yields complete, inflated and checked messages, however small the pieces in which they arrive. The
 * adapter's own decoder takes quadratic time in the number of pieces, and answers INTERNAL for what
 * its parser rejects.
 *
 * Nothing is read before the adapter reads, so flow control works as before. Errors of the request
 * pass through. The iteration throws RESOURCE_EXHAUSTED over a limit or the budget, and
 * INVALID_ARGUMENT for a malformed message.
 */
export function createBodyReader(options: BodyOptions): (request: RpcRequest) => void {
  return (request) => {
    const served = options.methods.get(request.url?.split("?", 1)[0] ?? "");
    const form = bodyForm(request.headers["content-type"]);
    if (served === undefined || form === undefined) return;
    const gzip = request.headers[form.encodingHeader] === "gzip";
    if (!form.enveloped) hideEncoding(request, gzip);
    const read = () => {
      const owner = { connection: connectionOf(request), address: options.addressOf(request) };
      const reservation = options.budget.open(owner);
      const strings = options.stringsOf(request);
      return readBody(request, { ...form, ...served, gzip, reservation, strings });
    };
    Object.defineProperty(request, Symbol.asyncIterator, { value: read });
  };
}

/** The adapter gets an inflated message, and would allocate whatever length is announced. */
function hideEncoding({ headers }: RpcRequest, gzip: boolean): void {
  delete headers["content-length"];
  if (gzip) delete headers["content-encoding"];
}

type Body = BodyForm &
  ServedMethod & {
    readonly gzip: boolean;
    readonly reservation: Reservation;
    readonly strings: DeferredStrings;
  };

async function* readBody(request: RpcRequest, body: Body): AsyncGenerator<Uint8Array> {
  const { reservation } = body;
  try {
    for await (const bytes of readPieces(request, createAssembler(body))) {
      reservation.take(bytes.length);
      if (body.enveloped) {
        for (const envelope of splitEnvelopes(bytes)) yield await readEnvelope(envelope, body);
      } else {
        yield await readMessage(bytes, body.gzip, body);
      }
      reservation.release(bytes.length);
    }
  } finally {
    // The adapter asks for more only after it has parsed what it got.
    reservation.close();
  }
}

function createAssembler(body: Body): EnvelopeAssembler {
  const buffer = createEnvelopeBuffer(body.reservation);
  const plainBytes = body.json ? body.limits.jsonBytes : body.limits.binaryBytes;
  const compressedBytes = maxInflatedBytes(body);
  const assembler = body.enveloped
    ? assembleEnvelopes(buffer, { plainBytes, compressedBytes })
    : assembleBody(buffer, body.gzip ? compressedBytes : plainBytes);
  return body.base64 ? decodeBase64(assembler) : assembler;
}

function maxInflatedBytes({ json, limits }: Body): number {
  return json ? limits.jsonBytes : limits.inflatedBytes;
}

async function readEnvelope(envelope: Uint8Array, body: Body): Promise<Uint8Array> {
  // The adapter reports an envelope that is cut short.
  if (!isComplete(envelope)) return envelope;
  const flags = envelope[0] ?? 0;
  if ((flags & ~body.flags) !== 0) throw malformed("its envelope has unknown flags");
  const compressed = (flags & COMPRESSED_FLAG) !== 0;
  if (compressed && !body.gzip) throw malformed("it is compressed, but no encoding is named");
  const sent = envelope.subarray(PREFIX_BYTES);
  // The last envelope of a stream holds no message of the method.
  if (flags > COMPRESSED_FLAG) return createEnvelope(flags & ~COMPRESSED_FLAG, new Uint8Array(0));
  const message = await readMessage(sent, compressed, body);
  return message === sent ? envelope : createEnvelope(0, message);
}

/** Inflates and checks a message. Inflated bytes stay reserved until the body is closed. */
async function readMessage(sent: Uint8Array, gzip: boolean, body: Body): Promise<Uint8Array> {
  const { reservation } = body;
  const maxBytes = maxInflatedBytes(body);
  const bytes = gzip ? await inflate(sent, { maxBytes, reservation }) : sent;
  if (gzip) reservation.take(bytes.length);
  if (body.json) return await deferLongStrings(bytes, body.strings);
  checkBinary(body.method.input, bytes);
  return bytes;
}

function malformed(rule: string): ConnectError {
  return new ConnectError(`the message cannot be read: ${rule}`, Code.InvalidArgument);
}

// The event loop gets a turn after so many pieces. Bodies in pieces of a usual size never reach it.
const PIECES_PER_TURN = 1024;

/**
 * Reads a body through an assembler. Yields what is complete before it reads more.
 *
 * It reads by `data` events: iterating over the body would cost several microtasks a piece, and a
 * client may send one piece for each byte. Throws errors of the body and of the assembler. When it is
 * left early, it drops the rest of the body: destroying the request would close an HTTP/1.1
 * connection before its client could read the refusal.
 */
export async function* readPieces(
  body: Readable,
  assembler: EnvelopeAssembler,
): AsyncGenerator<Uint8Array> {
  const flow = openFlow(body, assembler);
  try {
    while (!flow.ended || flow.ready.length > 0) {
      const bytes = flow.ready.shift();
      if (bytes) yield bytes;
      else if (flow.pieces >= PIECES_PER_TURN) await flow.giveWay();
      else await flow.read();
    }
    if (flow.error) throw flow.error;
    const rest = assembler.rest();
    if (rest.length > 0) yield rest;
  } finally {
    flow.close();
    assembler.rest();
  }
}

/** Connects the events of a body with the loop that waits for them. */
function openFlow(body: Readable, assembler: EnvelopeAssembler) {
  // A paused HTTP/1.1 body takes another 64 KiB, byte by byte, before its connection stops.
  const connection = body instanceof IncomingMessage ? body.socket : undefined;
  let wake = () => {};
  const flow = {
    /** At most one entry: the body pauses when it is added. */
    ready: [] as Uint8Array[],
    pieces: 0,
    ended: false,
    error: undefined as unknown,
    /** Reads until something is ready, the body ends, or `PIECES_PER_TURN` have come. */
    read(): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      body.resume();
      return promise;
    },
    async giveWay() {
      flow.pieces = 0;
      await nextTurn();
      connection?.resume();
    },
    close() {
      unfollow();
      body.off("data", take).resume();
      connection?.resume();
    },
  };
  const end = (error?: unknown) => {
    flow.ended = true;
    flow.error ??= error;
    wake();
  };
  const pause = () => {
    body.pause();
    wake();
  };
  const take = (piece: Uint8Array) => {
    flow.pieces += 1;
    try {
      const bytes = assembler.push(piece);
      if (bytes.length > 0) flow.ready.push(bytes);
    } catch (error) {
      end(error);
    }
    if (flow.ready.length > 0) pause();
    if (flow.pieces === PIECES_PER_TURN) {
      connection?.pause();
      pause();
    }
  };
  const unfollow = finished(body, { writable: false }, end);
  body.pause().on("data", take);
  return flow;
}

/** Where a call's context holds its deferred strings. */
export const deferredStringsKey = createContextKey<DeferredStrings>(new Map());

/** Restores the deferred strings in the fields of a parsed message. */
export const restoreStrings: Interceptor = (next) => (request) => {
  const strings = request.contextValues.get(deferredStringsKey);
  if (request.stream) return next({ ...request, message: restoreEach(request.message, strings) });
  restore(request.message, strings);
  return next(request);
};

async function* restoreEach<Message extends object>(
  messages: AsyncIterable<Message>,
  strings: DeferredStrings,
): AsyncGenerator<Message> {
  for await (const message of messages) {
    restore(message, strings);
    yield message;
  }
}

function restore(message: object, strings: DeferredStrings): void {
  if (strings.size === 0) return;
  for (const [name, value] of Object.entries(message)) {
    const text = typeof value === "string" ? strings.get(value) : undefined;
    if (text !== undefined) Object.assign(message, { [name]: text });
  }
}
