import { Code, ConnectError } from "@connectrpc/connect";
import { COMPRESSED_FLAG, messageLength, PREFIX_BYTES } from "../core/envelope.ts";
import type { Reservation } from "./body-budget.ts";

/** Bytes of a request body that wait until they are complete. */
export type EnvelopeBuffer = {
  readonly size: number;
  /**
   * Copies a piece to the end. `wantedBytes` is the expected final size, if known: the buffer
   * allocates no more. Throws RESOURCE_EXHAUSTED over the budget.
   */
  add(piece: Uint8Array, wantedBytes: number): void;
  /** Returns all bytes and empties the buffer. */
  take(): Uint8Array<ArrayBuffer>;
};

const MIN_BUFFER_BYTES = 256;

/**
 * Creates an empty buffer. Its memory doubles as it fills, so that the time is linear. Pieces are
 * copied: a one-byte piece costs one byte, where a list would keep the memory behind the piece.
 */
export function createEnvelopeBuffer(
  reservation: Pick<Reservation, "take" | "release">,
): EnvelopeBuffer {
  let memory = new Uint8Array(0);
  let size = 0;

  const resize = (bytes: number) => {
    reservation.take(bytes - memory.length);
    const larger = new Uint8Array(bytes);
    larger.set(memory.subarray(0, size));
    memory = larger;
  };

  return {
    get size() {
      return size;
    },
    add(piece, wantedBytes) {
      const neededBytes = size + piece.length;
      if (neededBytes > memory.length) {
        const doubledBytes = Math.max(2 * memory.length, MIN_BUFFER_BYTES);
        resize(Math.max(Math.min(doubledBytes, wantedBytes), neededBytes));
      }
      memory.set(piece, size);
      size = neededBytes;
    },
    take() {
      const taken = memory.subarray(0, size);
      reservation.release(memory.length);
      memory = new Uint8Array(0);
      size = 0;
      return taken;
    },
  };
}

/** Joins the pieces of a body. The bytes stay the same and in order; only the cuts move. */
export type EnvelopeAssembler = {
  /** Takes the next piece. Returns the bytes that are complete, maybe none, and keeps the rest. */
  push(piece: Uint8Array): Uint8Array;
  /** Returns the bytes that are left, maybe none, and drops them. */
  rest(): Uint8Array;
};

const empty = new Uint8Array(0);

/** Joins a whole body, without envelopes. Throws RESOURCE_EXHAUSTED above `maxBytes`. */
export function assembleBody(buffer: EnvelopeBuffer, maxBytes: number): EnvelopeAssembler {
  const push = (piece: Uint8Array) => {
    if (buffer.size + piece.length > maxBytes) throw tooLarge(maxBytes);
    buffer.add(piece, maxBytes);
    return empty;
  };
  return { push, rest: buffer.take };
}

/** The longest message in an envelope, in bytes. */
export type EnvelopeLimits = { readonly plainBytes: number; readonly compressedBytes: number };

/**
 * Joins pieces so that each ends where an envelope ends. Throws RESOURCE_EXHAUSTED for an envelope
 * that announces more than its limit.
 */
export function assembleEnvelopes(
  buffer: EnvelopeBuffer,
  limits: EnvelopeLimits,
): EnvelopeAssembler {
  let wantedBytes = PREFIX_BYTES;
  const push = (piece: Uint8Array) => {
    let bytes = piece;
    if (buffer.size > 0) {
      buffer.add(piece, wantedBytes);
      if (buffer.size < wantedBytes) return empty;
      bytes = buffer.take();
    }
    const measured = measure(bytes, limits);
    wantedBytes = measured.wantedBytes;
    if (measured.completeBytes === bytes.length) return bytes;
    buffer.add(bytes.subarray(measured.completeBytes), wantedBytes);
    return bytes.subarray(0, measured.completeBytes);
  };
  return { push, rest: buffer.take };
}

/** The error for a message above its limit. */
export function tooLarge(maxBytes: number): ConnectError {
  const message = `the message must be at most ${maxBytes} bytes`;
  return new ConnectError(message, Code.ResourceExhausted);
}

/** `completeBytes` are whole envelopes. The rest needs `wantedBytes` before it can be measured. */
type Measured = { readonly completeBytes: number; readonly wantedBytes: number };

function measure(bytes: Uint8Array, limits: EnvelopeLimits): Measured {
  let completeBytes = 0;
  while (bytes.length - completeBytes >= PREFIX_BYTES) {
    const prefix = bytes.subarray(completeBytes, completeBytes + PREFIX_BYTES);
    const compressed = ((prefix[0] ?? 0) & COMPRESSED_FLAG) !== 0;
    const maxBytes = compressed ? limits.compressedBytes : limits.plainBytes;
    if (messageLength(prefix) > maxBytes) throw tooLarge(maxBytes);
    const wantedBytes = PREFIX_BYTES + messageLength(prefix);
    if (bytes.length - completeBytes < wantedBytes) return { completeBytes, wantedBytes };
    completeBytes += wantedBytes;
  }
  return { completeBytes, wantedBytes: PREFIX_BYTES };
}
