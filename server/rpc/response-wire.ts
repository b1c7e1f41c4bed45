import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { createContextKey } from "@connectrpc/connect";
import type { TurnChunk } from "../conversation/reply.ts";
import { onAbort, throwIfAborted } from "../core/async/abort.ts";
import { type ChunkFields, encodeChunks, encodedBytes } from "./chunk-encoder.ts";

type Response = ServerResponse | Http2ServerResponse;

/**
 * Writes chunks directly to a response that connect-node has begun and will end. connect-node handles
 * headers, trailers, deadlines, metadata and errors. The messages in between bypass it, because its
 * chain of iterables costs more than the rest of a turn.
 */
export type ResponseWire = {
  /**
   * Writes chunks in as few writes as `MAX_WRITE_BYTES` allows. Resolves when the client has taken
   * enough of them. Throws the signal's reason if it fires meanwhile.
   */
  write(chunks: readonly TurnChunk[], fields: ChunkFields, signal: AbortSignal): Promise<void>;
};

/** Where a call's context holds its response wire; undefined if the messages are not binary. */
export const responseWireKey = createContextKey<ResponseWire | undefined>(undefined, {
  description: "response wire",
});

/** The most encoded bytes that the gateway holds for a slow client, besides one chunk. */
const MAX_WRITE_BYTES = 64 * 1024;

const binaryTypes = new Set([
  "application/grpc",
  "application/grpc+proto",
  "application/grpc-web",
  "application/grpc-web+proto",
  "application/connect+proto",
]);

/**
 * Opens the wire of a response with binary envelopes: gRPC, gRPC-Web (also as text: its writes are
 * encoded later) and Connect streams. `contentType` is the request's, as the adapter sees it.
 * Undefined for other responses.
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

/** `write` as it is called here. Node's types have more overloads. */
type Writable = { write(bytes: Uint8Array): boolean };

/** Groups chunks that fit into one write. A larger chunk is a group of its own. */
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

/** Waits until the client has taken the bytes. Throws if it disconnects or the signal fires. */
async function drained(response: Response, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const closed = () =>
    reject(new Error("the client disconnected before the response was complete"));
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
