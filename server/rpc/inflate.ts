import { createGunzip } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import type { BodyHold } from "./body-budget.ts";
import { createPile } from "./envelope-buffer.ts";

/** A message that grows more than this when inflated is refused. gzip can reach 1032. */
const MAX_RATIO = 100;

/** What an inflated message may take. */
export type InflateLimits = {
  readonly maxBytes: number;
  /** What is inflated is held of the budget until it is handed over. */
  readonly hold: BodyHold;
};

/**
 * Undoes gzip, and stops as soon as more comes out than is allowed. Throws RESOURCE_EXHAUSTED over
 * a limit, INVALID_ARGUMENT for what is not gzip or ends too early.
 */
export async function inflate(
  bytes: Uint8Array,
  { maxBytes, hold }: InflateLimits,
): Promise<Uint8Array> {
  // As in gRPC, nothing at all is an empty message.
  if (bytes.length === 0) return bytes;
  const pile = createPile(hold);
  const gunzip = createGunzip();
  gunzip.end(bytes);
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      const inflatedBytes = pile.size + chunk.length;
      if (inflatedBytes > MAX_RATIO * bytes.length) {
        throw exhausted(`inflates to more than ${MAX_RATIO} times its size`);
      }
      if (inflatedBytes > maxBytes) throw exhausted(`inflates to more than ${maxBytes} bytes`);
      pile.add(chunk, maxBytes);
    }
  } catch (error) {
    pile.take();
    if (error instanceof ConnectError) throw error;
    throw new ConnectError("the message is not gzip, or is cut short", Code.InvalidArgument);
  }
  return pile.take();
}

function exhausted(fact: string): ConnectError {
  return new ConnectError(`the message ${fact}`, Code.ResourceExhausted);
}
