import { Code, ConnectError } from "@connectrpc/connect";
import type { Joiner } from "./envelope-assembler.ts";

/** Decodes base64 that arrives in pieces. */
export type Base64Decoder = {
  /**
   * The bytes that a piece completes. Padding may follow any group: some clients encode a body in
   * parts. Throws INVALID_ARGUMENT for what is not base64.
   */
  push(text: Uint8Array): Uint8Array;
  /** Whether the last character alone makes no byte: the text broke off, or was never base64. */
  readonly broken: boolean;
};

const padding = 64;
const invalid = 65;
// In a piece of so few, whole groups are not worth looking for.
const fewCharacters = 64;
const dash = 45;
const underscore = 95;
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
const values = new Uint8Array(256).fill(invalid);
for (const [value, character] of [...alphabet].entries()) values[character.charCodeAt(0)] = value;

/**
 * Creates a decoder at the start of a text. It keeps no text: each byte goes out with the character
 * that completes it, so the pieces may be cut anywhere, and the time is linear.
 */
export function createBase64Decoder(): Base64Decoder {
  let bits = 0;
  // How many characters of the current group have come, and whether the last of them is padding.
  let position = 0;
  let padded = false;

  /** Takes the next character's value; returns whether a byte is complete. */
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
      if (text.length < fewCharacters) return decode(text);
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
 * Decodes whole groups by Node's own decoder, which is many times faster; undefined if they hold
 * anything that it passes over (padding within, other characters) or takes from another alphabet.
 */
function decodeWhole(text: Uint8Array): Uint8Array | undefined {
  if (text.includes(dash) || text.includes(underscore)) return undefined;
  const buffer = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const bytes = Buffer.from(buffer.toString("latin1"), "base64");
  return bytes.length === (text.length / 4) * 3 ? bytes : undefined;
}

/** Of the bits of a group, how many stand behind the byte that was completed last. */
function spareBits(position: number): number {
  return position === 0 ? 0 : 8 - 2 * position;
}

/** Decodes a body's base64 ahead of a joiner. */
export function decodeBase64(joiner: Joiner): Joiner {
  const decoder = createBase64Decoder();
  return {
    push: (piece) => joiner.push(decoder.push(piece)),
    rest() {
      const rest = joiner.rest();
      // The adapter takes the started byte for what it is: a message that broke off.
      return decoder.broken ? Buffer.concat([rest, Buffer.of(0)]) : rest;
    },
  };
}

function notBase64(): ConnectError {
  return new ConnectError("the body is not base64", Code.InvalidArgument);
}
