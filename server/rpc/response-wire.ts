import type { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { createContextKey } from "@connectrpc/connect";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { TurnChunk } from "../conversation/reply.ts";
import { onAbort, throwIfAborted } from "../core/async.ts";
import {
  type ChunkFields,
  encodeChunks,
  encodedBytes,
  streamNumbers,
  welcomeNumbers,
} from "./chunk-encoder.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/**
 * Writes chunks directly to a response that connect-node has begun and will end. connect-node handles
 * headers, trailers, deadlines, metadata and errors. The messages in between bypass it, because its
 * chain of iterables costs more than the rest of a turn.
 */
export type ResponseWire = {
  /**
   * Writes chunks in as few writes as `MAX_HELD_BYTES` allows. Returns undefined if the client may get
   * more at once, as nearly always; else resolves when it has taken enough of them. Throws, or rejects
   * with, the signal's reason if it has fired, and an error if the client disconnects. One call at a
   * time.
   */
  write(chunks: readonly TurnChunk[], signal: AbortSignal): Promise<void> | undefined;
};

/** Where a call's context holds its response wire; undefined if the messages are not binary. */
export const responseWireKey = createContextKey<ResponseWire | undefined>(undefined, {
  description: "response wire",
});

/** The most encoded bytes that the gateway holds for a slow client, unless one chunk is larger. */
const MAX_HELD_BYTES = 64 * 1024;

/** A writer waits while more than this is held, so that its turn does not run ahead. */
const MAX_RESTING_BYTES = MAX_HELD_BYTES / 2;

const binaryTypes = new Set([
  "application/grpc",
  "application/grpc+proto",
  "application/grpc-web",
  "application/grpc-web+proto",
  "application/connect+proto",
]);

/** The RPCs whose chunks a response wire writes, by path, and the fields of their responses. */
const { streamAudio, generateWelcomeAudio } = StreamingService.method;
const fieldsByPath = new Map<string, ChunkFields>([
  [pathOf(streamAudio), streamNumbers],
  [pathOf(generateWelcomeAudio), welcomeNumbers],
]);

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/**
 * Decides which way a request goes, and opens the wire of its response. Undefined if all of its
 * messages go through connect-node. The request comes as the adapter sees it.
 */
export type OpenResponseWire = (request: Request, response: Response) => ResponseWire | undefined;

/**
 * Creates the opener of response wires, which share their buffers. It opens one for each streamed
 * voice with binary envelopes: gRPC, gRPC-Web (also as text: its writes are encoded later) and
 * Connect streams.
 */
export function createResponseWires(): OpenResponseWire {
  const buffers = createBufferPool();
  return ({ url, headers }, response) => {
    const fields = fieldsByPath.get(url?.split("?", 1)[0] ?? "");
    if (!fields || !binaryTypes.has(headers["content-type"] ?? "")) return undefined;
    return openWire(response as WireResponse, fields, buffers);
  };
}

/** `write` as it is called here. Node's types have more overloads. */
type WireResponse = EventEmitter & {
  /** Bytes that the client has not taken, those of connect-node included. */
  readonly writableLength: number;
  readonly destroyed: boolean;
  write(bytes: Uint8Array, onTaken: (error?: Error | null) => void): boolean;
};

function openWire(response: WireResponse, fields: ChunkFields, buffers: BufferPool): ResponseWire {
  const flow = createFlow(response);
  const send = (chunks: readonly TurnChunk[], bytes: number) => {
    const buffer = buffers.take(bytes);
    encodeChunks(chunks, fields, buffer);
    flow.writes += 1;
    response.write(buffer.subarray(0, bytes), (error) => {
      flow.writes -= 1;
      // After an error, the connection may still refer to it.
      if (!error) buffers.give(buffer);
      flow.onTaken(error);
    });
  };
  const isFull = () => flow.writes > 0 && response.writableLength > MAX_RESTING_BYTES;
  /** Writes as many as fit. Returns up to which chunk. */
  const writeSome = (chunks: readonly TurnChunk[], from: number, signal: AbortSignal): number => {
    throwIfAborted(signal);
    flow.throwIfFailed();
    const { to, bytes } = chunksThatFit(chunks, from, { fields, response, flow });
    if (bytes > 0) send(to - from === chunks.length ? chunks : chunks.slice(from, to), bytes);
    return to;
  };
  const writeRest = async (chunks: readonly TurnChunk[], written: number, signal: AbortSignal) => {
    for (let from = written; ; ) {
      // Few large writes instead of many that fill each gap.
      while (isFull()) await flow.untilTaken(signal);
      if (from === chunks.length) return;
      const to = writeSome(chunks, from, signal);
      if (to === from) await flow.untilTaken(signal);
      from = to;
    }
  };
  return {
    write(chunks, signal) {
      const written = writeSome(chunks, 0, signal);
      if (written === chunks.length && !isFull()) return undefined;
      return writeRest(chunks, written, signal);
    },
  };
}

/**
 * Up to which chunk all fit beside the bytes that are held. The first chunk always fits if none of the
 * wire's writes is in flight, which would say when there is room.
 */
function chunksThatFit(
  chunks: readonly TurnChunk[],
  from: number,
  {
    fields,
    response,
    flow,
  }: { readonly fields: ChunkFields; readonly response: WireResponse; readonly flow: Flow },
) {
  const held = response.writableLength;
  let bytes = 0;
  let to = from;
  for (; to < chunks.length; to++) {
    const more = encodedBytes(chunks[to] as TurnChunk, fields);
    const isFirst = flow.writes === 0 && bytes === 0;
    if (!isFirst && held + bytes + more > MAX_HELD_BYTES) break;
    bytes += more;
  }
  return { to, bytes };
}

type Flow = ReturnType<typeof createFlow>;

/** The writes that a client has not taken yet, and the wait until it takes one. */
function createFlow(response: WireResponse) {
  let wake: (error?: Error | null) => void = () => undefined;
  let failure: Error | undefined;
  const flow = {
    /** Those in flight. */
    writes: 0,
    /** To be called when a write is over. */
    onTaken(error?: Error | null) {
      if (error) failure = error;
      wake(error);
    },
    /** Throws the error of a write: the client disconnected. */
    throwIfFailed() {
      if (failure) throw failure;
    },
    /** Throws if the client disconnects or the signal fires. */
    async untilTaken(signal: AbortSignal) {
      flow.throwIfFailed();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      wake = (error) => (error ? reject(error) : resolve());
      const closed = () =>
        reject(new Error("the client disconnected before the response was complete"));
      const forget = onAbort(signal, reject);
      // The port counts a client as slow while a writer listens for `drain`.
      response.once("drain", resolve).once("close", closed).once("error", reject);
      try {
        if (response.destroyed) closed();
        await promise;
      } finally {
        forget();
        response.off("drain", resolve).off("close", closed).off("error", reject);
      }
    },
  };
  return flow;
}

type BufferPool = {
  /** A buffer of at least so many bytes. */
  take(bytes: number): Buffer;
  /** Returns a buffer whose bytes nobody reads any more. */
  give(buffer: Buffer): void;
};

/** The sizes of buffers that are used again, and how many of each rest at most: 6 MiB in all. */
const pooled = [
  { bytes: 16 * 1024, max: 128 },
  { bytes: MAX_HELD_BYTES, max: 64 },
];

/** Below this, Node's own pool does better. */
const MIN_POOLED_BYTES = 4 * 1024;

/**
 * Creates a pool of buffers for writes. A new buffer for each write would cost page faults, and the
 * garbage collector frees it late.
 */
function createBufferPool(): BufferPool {
  const shelves = pooled.map((size) => ({ ...size, resting: [] as Buffer[] }));
  return {
    take(bytes) {
      const shelf =
        bytes < MIN_POOLED_BYTES ? undefined : shelves.find((each) => bytes <= each.bytes);
      return shelf?.resting.pop() ?? Buffer.allocUnsafe(shelf?.bytes ?? bytes);
    },
    give(buffer) {
      const shelf = shelves.find((each) => buffer.length === each.bytes);
      if (shelf && shelf.resting.length < shelf.max) shelf.resting.push(buffer);
    },
  };
}
