import { Code, ConnectError } from "@connectrpc/connect";
import type { Pile } from "./envelope-buffer.ts";

/** Makes larger pieces of a body's small ones. What goes in comes out, byte for byte and in order. */
export type Joiner = {
  /** Takes the body's next piece. Returns what may go on, perhaps nothing, and keeps the rest. */
  push(piece: Uint8Array): Uint8Array;
  /** Returns what is kept, perhaps nothing, and lets go of it. */
  rest(): Uint8Array;
};

const nothing = new Uint8Array(0);

/** Keeps a body until its end. Throws RESOURCE_EXHAUSTED once it has more than `maxBytes`. */
export function joinWhole(pile: Pile, maxBytes: number): Joiner {
  const push = (piece: Uint8Array) => {
    if (pile.size + piece.length > maxBytes) throw tooLarge(maxBytes);
    pile.add(piece, maxBytes);
    return nothing;
  };
  return { push, rest: pile.take };
}

/** The longest message that an envelope may hold, in bytes. */
export type EnvelopeLimits = { readonly plainBytes: number; readonly compressedBytes: number };

/**
 * Lets the same bytes go on so that each piece ends where an envelope ends. Throws
 * RESOURCE_EXHAUSTED for an envelope that announces more than its limit.
 */
export function joinEnvelopes(pile: Pile, limits: EnvelopeLimits): Joiner {
  let wantedBytes = PREFIX_BYTES;
  const push = (piece: Uint8Array) => {
    let bytes = piece;
    if (pile.size > 0) {
      pile.add(piece, wantedBytes);
      if (pile.size < wantedBytes) return nothing;
      bytes = pile.take();
    }
    const measured = measure(bytes, limits);
    wantedBytes = measured.wantedBytes;
    if (measured.wholeBytes === bytes.length) return bytes;
    pile.add(bytes.subarray(measured.wholeBytes), wantedBytes);
    return bytes.subarray(0, measured.wholeBytes);
  };
  return { push, rest: pile.take };
}

/** What refuses a message above its limit. */
export function tooLarge(maxBytes: number): ConnectError {
  const message = `the message must be at most ${maxBytes} bytes`;
  return new ConnectError(message, Code.ResourceExhausted);
}

/** Length of an envelope's prefix: one byte of flags, four of length, the most significant first. */
export const PREFIX_BYTES = 5;

/** The flag of an envelope whose message is compressed. */
export const COMPRESSED_FLAG = 1;

/**
 * `wholeBytes` of the measured bytes may go on. Of what follows them, `wantedBytes` are needed
 * before it is worth to measure again.
 */
type Measured = { readonly wholeBytes: number; readonly wantedBytes: number };

function measure(bytes: Uint8Array, limits: EnvelopeLimits): Measured {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let wholeBytes = 0;
  while (bytes.length - wholeBytes >= PREFIX_BYTES) {
    const compressed = (view.getUint8(wholeBytes) & COMPRESSED_FLAG) !== 0;
    const messageBytes = view.getUint32(wholeBytes + 1);
    const maxBytes = compressed ? limits.compressedBytes : limits.plainBytes;
    if (messageBytes > maxBytes) throw tooLarge(maxBytes);
    const wantedBytes = PREFIX_BYTES + messageBytes;
    if (bytes.length - wholeBytes < wantedBytes) return { wholeBytes, wantedBytes };
    wholeBytes += wantedBytes;
  }
  return { wholeBytes, wantedBytes: PREFIX_BYTES };
}
