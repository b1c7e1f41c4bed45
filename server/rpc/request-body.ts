import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { decodeBase64 } from "./base64-decoder.ts";
import { checkBinary } from "./binary-check.ts";
import type { BodyBudget, BodyHold } from "./body-budget.ts";
import {
  COMPRESSED_FLAG,
  joinEnvelopes,
  joinWhole,
  PREFIX_BYTES,
  tooLarge,
} from "./envelope-assembler.ts";
import { createPile } from "./envelope-buffer.ts";
import { webTextTypes } from "./grpc-web-text.ts";
import { inflate } from "./inflate.ts";
import { checkJson, decodeLongString } from "./json-check.ts";
import type { LiftedTexts } from "./lifted-texts.ts";
import type { LimitedMethod } from "./message-limits.ts";
import { readJoined } from "./request-pieces.ts";

/** An RPC's request, over either HTTP. */
export type RpcRequest = IncomingMessage | Http2ServerRequest;

/** What a body is read with. */
export type ReframeOptions = {
  /** The served methods by their paths. */
  readonly methods: ReadonlyMap<string, LimitedMethod>;
  readonly budget: BodyBudget;
  /** The address of the client that a request comes from. */
  readonly addressOf: (request: RpcRequest) => string;
  /** Where a request's long strings of JSON are kept beside its message. */
  readonly textsOf: (request: RpcRequest) => LiftedTexts;
};

/**
 * Makes the function that readies an RPC's request for the adapter: whoever iterates over the
 * request afterwards gets its messages whole, inflated and checked, however small the pieces in
 * which they arrive. The adapter's own decoder takes time quadratic in the number of pieces, and
 * answers INTERNAL for what its parser does not take.
 *
 * Nothing is read before the adapter reads, so flow control holds as before, and a request that
 * fails or breaks off does so for the adapter too. The iteration throws RESOURCE_EXHAUSTED over a
 * limit or the budget, and INVALID_ARGUMENT for what cannot be read.
 */
export function createReframe(options: ReframeOptions): (request: RpcRequest) => void {
  return (request) => {
    const served = options.methods.get(request.url?.split("?", 1)[0] ?? "");
    const form = bodyForm(request.headers["content-type"]);
    if (served === undefined || form === undefined) return;
    const gzip = request.headers[form.encodingHeader] === "gzip";
    if (!form.enveloped) forgetCoding(request, gzip);
    const read = () => {
      const owner = { connection: connectionOf(request), address: options.addressOf(request) };
      const hold = options.budget.open(owner);
      return readBody(request, { ...form, ...served, gzip, hold, texts: options.textsOf(request) });
    };
    Object.defineProperty(request, Symbol.asyncIterator, { value: read });
  };
}

type BodyForm = {
  /** Streams and gRPC send envelopes; a unary Connect call's body is the bare message. */
  readonly enveloped: boolean;
  /** gRPC-Web's text form: all of the body is in base64. */
  readonly base64?: true;
  readonly json: boolean;
  readonly encodingHeader: string;
  /** The flags that an envelope may have. */
  readonly flags: number;
};

const END_STREAM_FLAG = 2;
const TRAILER_FLAG = 0x80;

/** The form that a media type stands for. The header is as `createNegotiation` leaves it. */
function bodyForm(contentType = ""): BodyForm | undefined {
  if (webTextTypes.includes(contentType)) {
    return { ...envelopes(false, "grpc-encoding", TRAILER_FLAG), base64: true };
  }
  const [, type, codec] =
    /^application\/(?:(grpc-web|grpc|connect)(?![\w-]))?\+?([\w-]+)?/i.exec(contentType) ?? [];
  const json = codec?.toLowerCase() === "json";
  switch (type?.toLowerCase()) {
    case "connect":
      return envelopes(json, "connect-content-encoding", END_STREAM_FLAG);
    case "grpc-web":
      return envelopes(json, "grpc-encoding", TRAILER_FLAG);
    case "grpc":
      return envelopes(json, "grpc-encoding", 0);
    default:
      if (!json && codec?.toLowerCase() !== "proto") return undefined;
      return { enveloped: false, json, encodingHeader: "content-encoding", flags: 0 };
  }
}

function envelopes(json: boolean, encodingHeader: string, endFlag: number): BodyForm {
  return { enveloped: true, json, encodingHeader, flags: COMPRESSED_FLAG | endFlag };
}

/** The adapter gets the message inflated, and would take memory for whatever length is announced. */
function forgetCoding({ headers }: RpcRequest, gzip: boolean): void {
  delete headers["content-length"];
  if (gzip) delete headers["content-encoding"];
}

function connectionOf(request: RpcRequest): object {
  return "stream" in request ? (request.stream.session ?? request.stream) : request.socket;
}

type Body = BodyForm &
  LimitedMethod & { readonly gzip: boolean; readonly hold: BodyHold; readonly texts: LiftedTexts };

async function* readBody(request: RpcRequest, body: Body): AsyncGenerator<Uint8Array> {
  const { hold } = body;
  const pile = createPile(hold);
  const plainBytes = body.json ? body.limits.jsonBytes : body.limits.binaryBytes;
  const compressedBytes = inflatedBytes(body);
  const joiner = body.enveloped
    ? joinEnvelopes(pile, { plainBytes, compressedBytes })
    : joinWhole(pile, body.gzip ? compressedBytes : plainBytes);
  try {
    const decoded = body.base64 ? decodeBase64(joiner) : joiner;
    for await (const bytes of readJoined(request, decoded)) {
      hold.take(bytes.length);
      if (body.enveloped) yield* readEnvelopes(bytes, body);
      else yield await readMessage(bytes, body.gzip, body);
      hold.give(bytes.length);
    }
  } finally {
    // What was handed over is parsed by now: the adapter asks for more only then.
    hold.close();
  }
}

function inflatedBytes({ json, limits }: Body): number {
  return json ? limits.jsonBytes : limits.inflatedBytes;
}

/** Yields the envelopes of a piece, each with its message as the parser may have it. */
async function* readEnvelopes(bytes: Uint8Array, body: Body): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const prefix = bytes.subarray(at, at + PREFIX_BYTES);
    const wholeBytes = PREFIX_BYTES + (prefix.length < PREFIX_BYTES ? 0 : lengthOf(prefix));
    const envelope = bytes.subarray(at, at + wholeBytes);
    at += wholeBytes;
    // The adapter says of an envelope that is cut short that it is.
    yield envelope.length < wholeBytes ? envelope : await readEnvelope(envelope, body);
  }
}

async function readEnvelope(envelope: Uint8Array, body: Body): Promise<Uint8Array> {
  const flags = envelope[0] ?? 0;
  if ((flags & ~body.flags) !== 0) throw malformed("its envelope has unknown flags");
  const compressed = (flags & COMPRESSED_FLAG) !== 0;
  if (compressed && !body.gzip) throw malformed("it is compressed, and no encoding is named");
  const sent = envelope.subarray(PREFIX_BYTES);
  if (flags > COMPRESSED_FLAG) return envelopeOf(flags - (flags & COMPRESSED_FLAG), nothing);
  const message = await readMessage(sent, compressed, body);
  return message === sent ? envelope : envelopeOf(0, message);
}

const nothing = new Uint8Array(0);

function lengthOf(prefix: Uint8Array): number {
  return new DataView(prefix.buffer, prefix.byteOffset).getUint32(1);
}

function envelopeOf(flags: number, message: Uint8Array): Uint8Array {
  const envelope = new Uint8Array(PREFIX_BYTES + message.length);
  envelope[0] = flags;
  new DataView(envelope.buffer).setUint32(1, message.length);
  envelope.set(message, PREFIX_BYTES);
  return envelope;
}

/** The message as the parser may have it. What was inflated is held until the body is over. */
async function readMessage(sent: Uint8Array, gzip: boolean, body: Body): Promise<Uint8Array> {
  const { hold } = body;
  const bytes = gzip ? await inflate(sent, { maxBytes: inflatedBytes(body), hold }) : sent;
  if (gzip) hold.take(bytes.length);
  if (body.json) return await liftLongStrings(bytes, body.texts);
  checkBinary(body.method.input, bytes);
  return bytes;
}

/** Puts a name in the place of every long string, and keeps the string by that name. */
async function liftLongStrings(bytes: Uint8Array, texts: LiftedTexts): Promise<Uint8Array> {
  const spans = checkJson(bytes);
  if (spans.length === 0) return bytes;
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const span of spans) {
    const name = `text ${randomUUID()}`;
    texts.set(name, await decodeLongString(bytes, span));
    parts.push(bytes.subarray(at, span.from), Buffer.from(`"${name}"`));
    at = span.to + 1;
  }
  return Buffer.concat([...parts, bytes.subarray(at)]);
}

/**
 * Checks the message that a GET of Connect carries in its address. GET takes no compressed message:
 * any page may send one, by an image. Throws UNIMPLEMENTED for that, and INVALID_ARGUMENT.
 */
export function checkGet(address: string, { method, limits }: LimitedMethod): void {
  const query = new URL(address).searchParams;
  const compression = query.get("compression");
  if (compression !== null && compression !== "identity") {
    const message = "GET takes no compressed message: send it by POST";
    throw new ConnectError(message, Code.Unimplemented);
  }
  const bytes = readQueryMessage(query.get("message") ?? "", query.get("base64") === "1");
  const isJson = query.get("encoding") === "json";
  const maxBytes = isJson ? limits.jsonBytes : limits.binaryBytes;
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  if (isJson) checkJson(bytes);
  else checkBinary(method.input, bytes);
}

function readQueryMessage(text: string, isBase64: boolean): Uint8Array {
  if (!isBase64) return Buffer.from(text);
  try {
    return base64Decode(text);
  } catch {
    throw malformed("it must be base64");
  }
}

function malformed(rule: string): ConnectError {
  return new ConnectError(`the message cannot be read: ${rule}`, Code.InvalidArgument);
}
