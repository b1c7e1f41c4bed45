import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  AudioChunkSchema,
  StreamResponseSchema,
  WelcomeResponseSchema,
  WordTimingSchema,
} from "../../gen/streaming/streaming_pb.ts";
import type { TurnChunk } from "../conversation/reply.ts";
import {
  type ChunkFields,
  encodeChunks,
  encodedBytes,
  streamNumbers,
  welcomeNumbers,
} from "./chunk-encoder.ts";
import { audioMessage } from "./response-messages.ts";

const words = fc.array(
  fc.record({
    word: fc.string({ unit: "grapheme", maxLength: 200 }),
    textStart: fc.nat(),
    startSample: fc.nat(2 ** 40),
    endSample: fc.nat(2 ** 40),
  }),
  { maxLength: 5 },
);
const audio = fc.record({
  type: fc.constant("audio" as const),
  pcm: fc.oneof(
    fc.int16Array({ minLength: 1, maxLength: 100 }),
    fc.nat(20_000).map((length) => new Int16Array(length + 1).fill(-7)),
  ),
  synthesizer: fc.constant("local"),
  words,
});
const text = fc.record({
  type: fc.constant("text" as const),
  text: fc.oneof(fc.string({ unit: "binary", minLength: 1 }), fc.constant("é".repeat(9000))),
});
const chunk = fc.oneof(audio, text);
/** Chunks have a number where their turn can be resumed. */
const numbered = fc
  .tuple(chunk, fc.integer({ min: 1, max: 2 ** 40 }))
  .map(([each, sequence]): TurnChunk => ({ ...each, sequence }));
const chunks = fc.array(fc.oneof(chunk, numbered), { maxLength: 6 });

function encode(all: readonly TurnChunk[], fields: ChunkFields): Buffer {
  const bytes = all.reduce((sum, chunk) => sum + encodedBytes(chunk, fields), 0);
  const target = Buffer.alloc(bytes);
  expect(encodeChunks(all, fields, target)).toBe(bytes);
  return target;
}

function envelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function streamMessage(chunk: TurnChunk) {
  const content =
    chunk.type === "text"
      ? ({ case: "textChunk", value: chunk.text } as const)
      : ({ case: "audioChunk", value: audioMessage(chunk) } as const);
  return toBinary(
    StreamResponseSchema,
    create(StreamResponseSchema, { content, sequence: BigInt(chunk.sequence ?? 0) }),
  );
}

function welcomeMessage(chunk: Extract<TurnChunk, { type: "audio" }>) {
  const content = { case: "audioChunk", value: audioMessage(chunk) } as const;
  return toBinary(WelcomeResponseSchema, create(WelcomeResponseSchema, { content }));
}

describe("encodeChunks", () => {
  it("writes a stream's chunks byte for byte as protobuf-es does", () => {
    fc.assert(
      fc.property(chunks, (all) => {
        const expected = Buffer.concat(all.map((chunk) => envelope(streamMessage(chunk))));
        expect(encode(all, streamNumbers).equals(expected)).toBe(true);
      }),
    );
  });

  it("writes a welcome's sound and leaves its text out", () => {
    fc.assert(
      fc.property(chunks, (all) => {
        const sound = all.filter((chunk) => chunk.type === "audio");
        const expected = Buffer.concat(sound.map((chunk) => envelope(welcomeMessage(chunk))));
        expect(encode(all, welcomeNumbers).equals(expected)).toBe(true);
      }),
    );
  });

  it("knows every field of the messages that it writes", () => {
    const names = (schema: { readonly fields: readonly { readonly name: string }[] }) =>
      schema.fields.map(({ name }) => name);
    // A field that is missing here is one that the encoder would leave out: teach it first.
    expect(names(AudioChunkSchema)).toEqual([
      "audio_data",
      "dtype",
      "shape",
      "sample_rate",
      "channels",
      "words",
      // Only Opus has it, which connect-node sends.
      "format",
    ]);
    expect(names(WordTimingSchema)).toEqual(["word", "start_sample", "end_sample"]);
    expect(names(StreamResponseSchema)).toEqual([
      "text_chunk",
      "audio_chunk",
      "end_message",
      "error_message",
      "sequence",
      // Come with messages that connect-node encodes: the first, the last, and those with a source.
      "turn_id",
      "source",
      "partial",
      "session_id",
    ]);
    expect(names(WelcomeResponseSchema)).toEqual([
      "audio_chunk",
      "metadata",
      "end_message",
      "error_message",
    ]);
  });
});
