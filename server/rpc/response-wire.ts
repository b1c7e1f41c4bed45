import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { createContextKey } from "@connectrpc/connect";
import type { TurnChunk } from "../conversation/turn.ts";
import { onAbort, throwIfAborted } from "../core/async/abort.ts";
import { type ChunkFields, encodeChunks, encodedBytes } from "./chunk-encoder.ts";

/**
 * Writes chunks straight to a response that connect-node has begun and will end. Headers, trailers,
 * deadlines, metadata and errors stay with connect-node; only the many messages between take this
 * way, because its chain of iterables costs more than all the rest of a turn.
 */
export type ResponseWire = {
  /**
   * Writes what is ready in as few writes as `MAX_WRITE_BYTES` allows. Resolves once the client has
   * taken enough of it. Throws the signal's reason when that fires while it waits.
   */
  write(chunks: readonly TurnChunk[], fields: ChunkFields, signal: AbortSignal): Promise<void>;
};

type Response = ServerResponse | Http2ServerResponse;

/** Where a call's context holds its response; undefined where the messages are not binary. */
export const responseWire = createContextKey<ResponseWire | undefined>(undefined, {
  description: "the response of a call, to write messages to",
});

/** What one client that reads slowly makes the gateway hold in encoded form, beside one chunk. */
const MAX_WRITE_BYTES = 64 * 1024;

const binaryTypes = new Set([
  "application/grpc",
  "application/grpc+proto",
  "application/grpc-web",
  "application/grpc-web+proto",
  "application/connect+proto",
]);

/**
 * Opens the wire of a response, if its messages are binary envelopes: gRPC, gRPC-Web (its text form
 * included, whose writes are encoded on their way) and Connect's streams. `contentType` is the
 * request's, as the adapter sees it.
 */
export function openResponseWire(
  contentType: string | undefined,
  response: Response,
): ResponseWire | undefined {
  if (!binaryTypes.has(contentType ?? "")) return undefined;
  return {
    async write(chunks, fields, signal) {
      for (const batch of batches(chunks, fields)) {
        throwIfAborted(signal);
        const bytes = encodeChunks(batch, fields);
        if (bytes.length === 0) continue;
        if (!(response as Writable).write(bytes)) await drained(response, signal);
      }
    },
  };
}

/** The one form of `write` that is used here; Node's types have many. */
type Writable = { write(bytes: Uint8Array): boolean };

/** Cuts chunks into runs that fit into one write; a chunk that does not is a run of its own. */
function* batches(
  chunks: readonly TurnChunk[],
  fields: ChunkFields,
): Generator<readonly TurnChunk[]> {
  let batch: TurnChunk[] = [];
  let bytes = 0;
  for (const chunk of chunks) {
    const chunkBytes = encodedBytes(chunk, fields);
    if (batch.length > 0 && bytes + chunkBytes > MAX_WRITE_BYTES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(chunk);
    bytes += chunkBytes;
  }
  if (batch.length > 0) yield batch;
}

/** Waits until the client has taken what was written. Throws if it leaves, or the turn is over. */
async function drained(response: Response, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const closed = () => reject(new Error("the client left before it took the whole response"));
  const forget = onAbort(signal, reject);
  response.once("drain", resolve).once("close", closed).once("error", reject);
  try {
    if (response.destroyed) closed();
    await promise;
  } finally {
    forget();
    response.off("drain", resolve).off("close", closed).off("error", reject);
  }
}
