import { createGunzip } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Reservation } from "./body-budget.ts";
import { createEnvelopeBuffer } from "./envelopes.ts";

/** The largest ratio of inflated to compressed size. gzip can reach 1032. */
const MAX_RATIO = 100;

/** Limits of an inflated message. */
export type InflateLimits = {
  readonly maxBytes: number;
  /** Counts the inflated bytes until they are returned. */
  readonly reservation: Reservation;
};

/**
 * Inflates gzip. Stops as soon as the output exceeds a limit. Throws RESOURCE_EXHAUSTED over a limit,
 * and INVALID_ARGUMENT for invalid or incomplete gzip.
 */
export async function inflate(
  bytes: Uint8Array,
  { maxBytes, reservation }: InflateLimits,
): Promise<Uint8Array> {
  // As in gRPC, no bytes are an empty message.
  if (bytes.length === 0) return bytes;
  const buffer = createEnvelopeBuffer(reservation);
  const gunzip = createGunzip();
  gunzip.end(bytes);
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      const inflatedBytes = buffer.size + chunk.length;
      if (inflatedBytes > MAX_RATIO * bytes.length) {
        throw exhausted(`inflates to more than ${MAX_RATIO} times its size`);
      }
      if (inflatedBytes > maxBytes) throw exhausted(`inflates to more than ${maxBytes} bytes`);
      buffer.add(chunk, maxBytes);
    }
  } catch (error) {
    buffer.take();
    if (error instanceof ConnectError) throw error;
    throw new ConnectError("the message is not gzip, or is cut short", Code.InvalidArgument);
  }
  return buffer.take();
}

function exhausted(fact: string): ConnectError {
  return new ConnectError(`the message ${fact}`, Code.ResourceExhausted);
}
