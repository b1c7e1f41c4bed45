import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { EnvelopeAssembler } from "./envelopes.ts";

/** The media types of gRPC-Web in base64, as `readMediaType` gives them. */
export const webTextTypes: readonly string[] = [
  "application/grpc-web-text",
  "application/grpc-web-text+proto",
];

/**
 * Translates between gRPC-Web's text form and the binary form, the only one that the adapter speaks.
 * The request's media type becomes the binary one. `createBodyReader`, which must see the request
 * first, decodes the body. What the adapter writes goes out as base64, padded for each write, so that
 * a browser can read each message as it comes.
 */
export function translateWebText(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
): void {
  const type = request.headers["content-type"] ?? "";
  request.headers["content-type"] = type.replace("-text", "");
  encodeWrites(response as LooseResponse, type);
}

/** The response as the adapter calls it. Node's types have more overloads. */
type LooseResponse = {
  writeHead(status: number, headers: Record<string, string>): unknown;
  write(piece: Uint8Array | string, ...rest: readonly unknown[]): boolean;
};

function encodeWrites(response: LooseResponse, type: string): void {
  const writeHead = response.writeHead.bind(response);
  const write = response.write.bind(response);
  response.writeHead = (status, headers) => {
    // Without a type it is the head of an empty refusal.
    if (headers["content-type"] === undefined) return writeHead(status, headers);
    response.write = (piece, ...rest) => write(toBase64(piece as Uint8Array), ...rest);
    return writeHead(status, { ...headers, "content-type": type });
  };
}

/** The bytes in base64, padded. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** Decodes base64 in pieces. */
export type Base64Decoder = {
  /**
   * Returns the bytes that a piece completes. Padding may follow any group of four, since some clients
   * encode a body in parts. Throws INVALID_ARGUMENT for other characters.
   */
  push(text: Uint8Array): Uint8Array;
  /** Whether the text ends with a character that makes no byte: it was cut short, or is not base64. */
  readonly broken: boolean;
};

const padding = 64;
const invalid = 65;
// Below this length, Node's decoder does not pay off.
const MIN_FAST_LENGTH = 64;
const dash = 45;
const underscore = 95;
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
const values = new Uint8Array(256).fill(invalid);
for (const [value, character] of [...alphabet].entries()) values[character.charCodeAt(0)] = value;

/**
 * Creates a decoder. It buffers no text: each byte is returned with the character that completes it.
 * Pieces may be cut anywhere, and the time is linear.
 */
export function createBase64Decoder(): Base64Decoder {
  let bits = 0;
  // The number of characters of the current group, and whether the last one is padding.
  let position = 0;
  let padded = false;

  /** Takes the next character's value. Returns whether it completes a byte. */
  const take = (value: number) => {
    if (value === padding ? position < 2 : value === invalid || padded) throw notBase64();
    const complete = position > 0 && value !== padding;
    bits = ((bits << 6) | value) & 0xff_ff_ff;
    position = (position + 1) % 4;
    padded = value === padding && position > 0;
    return complete;
  };
  const decode = (text: Uint8Array) => {
    const bytes = new Uint8Array(text.length);
    let length = 0;
    for (let at = 0; at < text.length; at++) {
      if (take(values[text[at] ?? 0] ?? invalid)) bytes[length++] = bits >> spareBits(position);
    }
    return bytes.subarray(0, length);
  };
  return {
    get broken() {
      return position === 1;
    },
    push(text) {
      if (text.length < MIN_FAST_LENGTH) return decode(text);
      const from = (4 - position) % 4;
      const to = text.length - ((text.length - from) % 4);
      const middle = text.subarray(from, to);
      const start = decode(text.subarray(0, from));
      return Buffer.concat([
        start,
        decodeWhole(middle) ?? decode(middle),
        decode(text.subarray(to)),
      ]);
    },
  };
}

/**
 * Decodes whole groups with Node's decoder, which is many times faster. Undefined if the text holds
 * what that decoder skips (padding inside, invalid characters) or accepts of another alphabet.
 */
function decodeWhole(text: Uint8Array): Uint8Array | undefined {
  if (text.includes(dash) || text.includes(underscore)) return undefined;
  const buffer = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const bytes = Buffer.from(buffer.toString("latin1"), "base64");
  return bytes.length === (text.length / 4) * 3 ? bytes : undefined;
}

/** The number of a group's bits behind the byte that was completed last. */
function spareBits(position: number): number {
  return position === 0 ? 0 : 8 - 2 * position;
}

/** Decodes base64 in front of an assembler. */
export function decodeBase64(assembler: EnvelopeAssembler): EnvelopeAssembler {
  const decoder = createBase64Decoder();
  return {
    push: (piece) => assembler.push(decoder.push(piece)),
    rest() {
      const rest = assembler.rest();
      // The extra byte makes the adapter report a message that is cut short.
      return decoder.broken ? Buffer.concat([rest, Buffer.of(0)]) : rest;
    },
  };
}

function notBase64(): ConnectError {
  return new ConnectError("the body is not base64", Code.InvalidArgument);
}
