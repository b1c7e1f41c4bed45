import type { Pile } from "./envelopes-pile.ts";

/** Makes larger pieces of a body's small ones. What goes in comes out, byte for byte and in order. */
export type Joiner = {
  /** Takes the body's next piece. Returns what may go on, perhaps nothing, and keeps the rest. */
  push(piece: Uint8Array): Uint8Array;
  /** Returns what is kept, perhaps nothing, and lets go of it. */
  rest(): Uint8Array;
};

const nothing = new Uint8Array(0);
const blockBytes = 64 * 1024;

/** Lets the same bytes go on in pieces of 64 KiB or more. */
export function joinPieces(pile: Pile): Joiner {
  const push = (piece: Uint8Array) => {
    if (pile.size === 0 && piece.length >= blockBytes) return piece;
    pile.add(piece, blockBytes);
    return pile.size >= blockBytes ? pile.take() : nothing;
  };
  return { push, rest: pile.take };
}

/**
 * Lets the same bytes go on so that each piece ends where an envelope ends. From an envelope on
 * that announces more than `maxMessageBytes`, they go on as they come.
 */
export function joinEnvelopes(pile: Pile, maxMessageBytes: number): Joiner {
  let next: Measured = { wholeBytes: 0, wantedBytes: prefixBytes, tooLong: false };
  const push = (piece: Uint8Array) => {
    if (next.tooLong) return piece;
    let bytes = piece;
    if (pile.size > 0) {
      pile.add(piece, next.wantedBytes);
      if (pile.size < next.wantedBytes) return nothing;
      bytes = pile.take();
    }
    next = measure(bytes, maxMessageBytes);
    if (next.wholeBytes === bytes.length) return bytes;
    pile.add(bytes.subarray(next.wholeBytes), next.wantedBytes);
    return bytes.subarray(0, next.wholeBytes);
  };
  return { push, rest: pile.take };
}

// One byte of flags, four of length, the most significant first.
const prefixBytes = 5;

/**
 * `wholeBytes` of the measured bytes may go on. Of what follows them, `wantedBytes` are needed
 * before it is worth to measure again.
 */
type Measured = {
  readonly wholeBytes: number;
  readonly wantedBytes: number;
  readonly tooLong: boolean;
};

function measure(bytes: Uint8Array, maxMessageBytes: number): Measured {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let wholeBytes = 0;
  while (bytes.length - wholeBytes >= prefixBytes) {
    const messageBytes = view.getUint32(wholeBytes + 1);
    const wantedBytes = prefixBytes + messageBytes;
    if (messageBytes > maxMessageBytes) {
      return { wholeBytes: bytes.length, wantedBytes, tooLong: true };
    }
    if (bytes.length - wholeBytes < wantedBytes) return { wholeBytes, wantedBytes, tooLong: false };
    wholeBytes += wantedBytes;
  }
  return { wholeBytes, wantedBytes: prefixBytes, tooLong: false };
}
