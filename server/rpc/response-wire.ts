import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { createContextKey } from "@connectrpc/connect";
import type { TurnChunk } from "../conversation/reply.ts";
import { onAbort, throwIfAborted } from "../core/async.ts";
import { bytesOf, outputRateHz } from "../core/audio/pcm.ts";
import type { AudioChunk } from "../failover/speech.ts";
import type { WordTiming } from "../models/synthesizer.ts";

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

/** The field numbers of a response's chunks. `text` is absent if the response has no text. */
export type ChunkFields = { readonly text?: number; readonly audio: number };

/** StreamResponse has `text_chunk` and `audio_chunk`. */
export const streamNumbers: ChunkFields = { text: 1, audio: 2 };
/** WelcomeResponse has only `audio_chunk`. */
export const welcomeNumbers: ChunkFields = { audio: 1 };

/** An envelope's prefix: one byte of flags and four of length. */
const PREFIX_BYTES = 5;

// A tag is the field's number and wire type. Numbers from 16 need two bytes.
const LENGTH_DELIMITED = 2;
const tag = (field: number, wireType = LENGTH_DELIMITED) => field * 8 + wireType;
const AUDIO_DATA = tag(1);
const WORDS = tag(16);
const WORD = tag(1);
const START_SAMPLE = tag(2, 0);
const END_SAMPLE = tag(3, 0);

/** `dtype`, and the tag of `shape`: they are the same in every chunk. */
const DTYPE_AND_SHAPE = Buffer.from([tag(2), 5, ...Buffer.from("int16"), tag(3)]);
/** `sample_rate` and `channels`. */
const RATE_AND_CHANNELS = Buffer.from([tag(4, 0), ...varint(outputRateHz), tag(5, 0), 1]);

/**
 * Encodes chunks as one run of envelopes, each with a response in protobuf's binary form, byte for
 * byte as `toBinary` writes it. Sizes come first, by arithmetic; then each byte is written once, and
 * samples are copied once. The buffer is the caller's.
 */
export function encodeChunks(chunks: readonly TurnChunk[], fields: ChunkFields): Buffer {
  const sized = chunks.flatMap((chunk) => measure(chunk, fields) ?? []);
  const size = sized.reduce((sum, { messageBytes }) => sum + PREFIX_BYTES + messageBytes, 0);
  const writer = new Writer(size);
  for (const each of sized) {
    writer.prefix(each.messageBytes);
    writer.varint(each.tag);
    writer.varint(each.contentBytes);
    if (each.chunk.type === "text") writer.text(each.chunk.text, each.contentBytes);
    else writeAudio(writer, each.chunk);
  }
  return writer.bytes;
}

/** How many bytes a chunk takes on the wire; 0 if its response has no field for it. */
export function encodedBytes(chunk: TurnChunk, fields: ChunkFields): number {
  const sized = measure(chunk, fields);
  return sized === undefined ? 0 : PREFIX_BYTES + sized.messageBytes;
}

type Sized = {
  readonly chunk: TurnChunk;
  readonly tag: number;
  readonly contentBytes: number;
  readonly messageBytes: number;
};

function measure(chunk: TurnChunk, fields: ChunkFields): Sized | undefined {
  const field = fields[chunk.type];
  if (field === undefined) return undefined;
  const contentBytes = chunk.type === "text" ? Buffer.byteLength(chunk.text) : audioBytes(chunk);
  const messageBytes = lengthOf(tag(field)) + delimitedBytes(contentBytes);
  return { chunk, tag: tag(field), contentBytes, messageBytes };
}

function audioBytes({ pcm, words = [] }: AudioChunk): number {
  const shape = lengthOf(pcm.length);
  let bytes = 1 + delimitedBytes(pcm.byteLength);
  bytes += DTYPE_AND_SHAPE.length + delimitedBytes(shape) + RATE_AND_CHANNELS.length;
  for (const word of words) bytes += lengthOf(WORDS) + delimitedBytes(wordBytes(word));
  return bytes;
}

/** Like proto3, omits fields with the value 0 or "". */
function wordBytes({ word, startSample, endSample }: WordTiming): number {
  const text = Buffer.byteLength(word);
  const number = (value: number) => (value === 0 ? 0 : 1 + lengthOf(value));
  return (text === 0 ? 0 : 1 + delimitedBytes(text)) + number(startSample) + number(endSample);
}

function writeAudio(writer: Writer, { pcm, words = [] }: AudioChunk): void {
  writer.varint(AUDIO_DATA);
  writer.varint(pcm.byteLength);
  writer.copy(bytesOf(pcm));
  writer.copy(DTYPE_AND_SHAPE);
  writer.varint(lengthOf(pcm.length));
  writer.varint(pcm.length);
  writer.copy(RATE_AND_CHANNELS);
  for (const word of words) writeWord(writer, word);
}

function writeWord(writer: Writer, timing: WordTiming): void {
  writer.varint(WORDS);
  writer.varint(wordBytes(timing));
  const text = Buffer.byteLength(timing.word);
  if (text > 0) {
    writer.varint(WORD);
    writer.varint(text);
    writer.text(timing.word, text);
  }
  writer.number(START_SAMPLE, timing.startSample);
  writer.number(END_SAMPLE, timing.endSample);
}

/** Writes into a buffer of the exact size, from start to end. */
class Writer {
  readonly bytes: Buffer;
  #at = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size);
  }

  /** Writes the prefix of an uncompressed envelope. */
  prefix(messageBytes: number): void {
    this.bytes[this.#at] = 0;
    this.bytes.writeUInt32BE(messageBytes, this.#at + 1);
    this.#at += PREFIX_BYTES;
  }

  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.#at++] = rest;
  }

  number(fieldTag: number, value: number): void {
    if (value === 0) return;
    this.varint(fieldTag);
    this.varint(value);
  }

  text(text: string, bytes: number): void {
    this.bytes.write(text, this.#at, bytes, "utf8");
    this.#at += bytes;
  }

  copy(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }
}

/** The varint length of an integer from 0 to 2^53, in bytes. */
function lengthOf(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** The length of content with its own length in front. */
const delimitedBytes = (bytes: number) => lengthOf(bytes) + bytes;

function varint(value: number): readonly number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
