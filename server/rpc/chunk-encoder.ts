import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AudioChunkSchema } from "../../gen/streaming/streaming_pb.ts";
import type { TurnChunk } from "../conversation/reply.ts";
import { bytesOf, outputRateHz } from "../core/audio/pcm.ts";
import type { AudioChunk } from "../failover/speech.ts";
import type { WordTiming } from "../models/synthesizer.ts";

/** The message for a chunk of audio, for connect-node to encode. It shares the samples' memory. */
export function audioMessage({
  pcm,
  words = [],
}: AudioChunk): MessageInitShape<typeof AudioChunkSchema> {
  return {
    audioData: bytesOf(pcm) as Uint8Array<ArrayBuffer>,
    dtype: "int16",
    shape: [pcm.length],
    sampleRate: outputRateHz,
    channels: 1,
    words: words.map(({ word, startSample, endSample }) => ({
      word,
      startSample: BigInt(startSample),
      endSample: BigInt(endSample),
    })),
  };
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
