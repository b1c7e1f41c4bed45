import type { TurnChunk } from "../conversation/reply.ts";
import { bytesOf, outputRateHz } from "../core/audio/pcm.ts";
import { PREFIX_BYTES } from "../core/envelope.ts";
import type { AudioChunk } from "../failover/framer.ts";
import type { WordTiming } from "../models/synthesizer.ts";

/** The field numbers of a response's chunks. Absent are those of which the response has none. */
export type ChunkFields = {
  readonly text?: number;
  readonly audio: number;
  readonly sequence?: number;
};

/** StreamResponse has `text_chunk`, `audio_chunk` and `sequence`. */
export const streamNumbers: ChunkFields = { text: 1, audio: 2, sequence: 16 };
/** WelcomeResponse has only `audio_chunk`. */
export const welcomeNumbers: ChunkFields = { audio: 1 };

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
const RATE_AND_CHANNELS = Buffer.from([tag(4, 0), ...varintOf(outputRateHz), tag(5, 0), 1]);

/** How many bytes a chunk takes on the wire; 0 if its response has no field for it. */
export function encodedBytes(chunk: TurnChunk, fields: ChunkFields): number {
  const field = fields[chunk.type];
  if (field === undefined) return 0;
  return PREFIX_BYTES + messageBytes(chunk, fields, contentBytes(chunk));
}

/**
 * Encodes chunks as one run of envelopes, each with a response in protobuf's binary form, byte for
 * byte as `toBinary` writes it. Sizes come first, by arithmetic; then each byte is written once, and
 * samples are copied once. `target` begins with the run; it must be as long as the chunks'
 * `encodedBytes`. Returns the run's length.
 */
export function encodeChunks(
  chunks: readonly TurnChunk[],
  fields: ChunkFields,
  target: Buffer,
): number {
  let at = 0;
  for (const chunk of chunks) {
    const field = fields[chunk.type];
    if (field !== undefined) at = writeChunk(target, at, { chunk, fields, field });
  }
  return at;
}

function writeChunk(
  target: Buffer,
  from: number,
  { chunk, fields, field }: { chunk: TurnChunk; fields: ChunkFields; field: number },
): number {
  const content = contentBytes(chunk);
  target[from] = 0;
  let at = target.writeUInt32BE(messageBytes(chunk, fields, content), from + 1);
  at = writeVarint(target, at, tag(field));
  at = writeVarint(target, at, content);
  if (chunk.type === "text") at += target.write(chunk.text, at, content, "utf8");
  else at = writeAudio(target, at, chunk);
  if (fields.sequence === undefined) return at;
  return writeNumber(target, at, tag(fields.sequence, 0), chunk.sequence ?? 0);
}

/** Fields of messages have one-byte tags; `sequence` has two bytes, and follows them. */
function messageBytes({ sequence = 0 }: TurnChunk, fields: ChunkFields, content: number): number {
  const bytes = 1 + delimitedBytes(content);
  if (sequence === 0 || fields.sequence === undefined) return bytes;
  return bytes + lengthOf(tag(fields.sequence, 0)) + lengthOf(sequence);
}

function contentBytes(chunk: TurnChunk): number {
  if (chunk.type === "text") return Buffer.byteLength(chunk.text);
  const { pcm, words } = chunk;
  let bytes = 1 + delimitedBytes(pcm.byteLength);
  bytes += DTYPE_AND_SHAPE.length + delimitedBytes(lengthOf(pcm.length)) + RATE_AND_CHANNELS.length;
  if (words === undefined) return bytes;
  for (const word of words) bytes += lengthOf(WORDS) + delimitedBytes(wordBytes(word));
  return bytes;
}

/** Like proto3, omits fields with the value 0 or "". */
function wordBytes({ word, startSample, endSample }: WordTiming): number {
  const text = Buffer.byteLength(word);
  const textBytes = text === 0 ? 0 : 1 + delimitedBytes(text);
  return textBytes + numberBytes(startSample) + numberBytes(endSample);
}

const numberBytes = (value: number) => (value === 0 ? 0 : 1 + lengthOf(value));

function writeAudio(target: Buffer, from: number, { pcm, words }: AudioChunk): number {
  let at = writeVarint(target, from, AUDIO_DATA);
  at = writeVarint(target, at, pcm.byteLength);
  at = copy(target, at, bytesOf(pcm));
  at = copy(target, at, DTYPE_AND_SHAPE);
  at = writeVarint(target, at, lengthOf(pcm.length));
  at = writeVarint(target, at, pcm.length);
  at = copy(target, at, RATE_AND_CHANNELS);
  if (words === undefined) return at;
  for (const word of words) at = writeWord(target, at, word);
  return at;
}

function writeWord(target: Buffer, from: number, timing: WordTiming): number {
  let at = writeVarint(target, from, WORDS);
  at = writeVarint(target, at, wordBytes(timing));
  const text = Buffer.byteLength(timing.word);
  if (text > 0) {
    at = writeVarint(target, at, WORD);
    at = writeVarint(target, at, text);
    at += target.write(timing.word, at, text, "utf8");
  }
  at = writeNumber(target, at, START_SAMPLE, timing.startSample);
  return writeNumber(target, at, END_SAMPLE, timing.endSample);
}

// Each of these writes at a place and returns the place behind.

function writeNumber(target: Buffer, at: number, tag: number, value: number): number {
  return value === 0 ? at : writeVarint(target, writeVarint(target, at, tag), value);
}

function writeVarint(target: Buffer, from: number, value: number): number {
  let at = from;
  let rest = value;
  while (rest > 0x7f) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}

function copy(target: Buffer, at: number, bytes: Uint8Array): number {
  target.set(bytes, at);
  return at + bytes.length;
}

/** The varint length of an integer from 0 to 2^53, in bytes. */
function lengthOf(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

/** The length of content with its own length in front. */
const delimitedBytes = (bytes: number) => lengthOf(bytes) + bytes;

function varintOf(value: number): readonly number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varintOf(Math.floor(value / 128))];
}
