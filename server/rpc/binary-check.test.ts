import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  DescriptorProtoSchema,
  FileDescriptorProtoSchema,
  file_google_protobuf_descriptor,
  StructSchema,
} from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StreamRequestSchema } from "../../gen/streaming/streaming_pb.ts";
import { checkBinary, MAX_FIELDS } from "./binary-check.ts";

const refusal = expect.objectContaining({ code: Code.InvalidArgument });
const check = (bytes: Uint8Array, message: DescMessage = StreamRequestSchema) => {
  checkBinary(message, bytes);
};
const repeat = (times: number, ...bytes: number[]) =>
  Buffer.alloc(times * bytes.length, Buffer.from(bytes));

/** Bytes that often look like protobuf. */
const wire = fc.array(
  fc.oneof(
    fc.constantFrom(0x0a, 0x12, 0x18, 0x20, 0x2a, 0x32, 0x38, 0x0b, 0x0c, 0x7a, 0x78, 0x08, 0x10),
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 255 }),
  ),
  { maxLength: 40 },
);

/** A field that is length-delimited, of the given content. */
function text(number: number, content: Uint8Array): Buffer {
  const lengthBytes: number[] = [];
  for (let rest = content.length; ; rest >>>= 7) {
    lengthBytes.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80);
    if (rest < 0x80) break;
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...lengthBytes]), content]);
}

const passes = (bytes: Uint8Array, message?: DescMessage) =>
  expect(() => check(bytes, message)).not.toThrow();

describe("checkBinary", () => {
  it.each([
    ["a flat message", StreamRequestSchema],
    ["lists, enums and packed numbers", DescriptorProtoSchema],
    ["maps and nested messages", StructSchema],
    ["many kinds of fields", FileDescriptorProtoSchema],
  ])("passes nothing that the parser refuses: %s", (_, schema: DescMessage) => {
    fc.assert(
      fc.property(wire, (bytes) => {
        const message = Uint8Array.from(bytes);
        try {
          check(message, schema);
        } catch (error) {
          expect(error).toEqual(refusal);
          return;
        }
        expect(() => fromBinary(schema, message, { readUnknownFields: false })).not.toThrow();
      }),
      { numRuns: 5000 },
    );
  });

  it("passes what is written by the library", () => {
    const schema = FileDescriptorProtoSchema;
    passes(toBinary(schema, file_google_protobuf_descriptor.proto), schema);
    const record = create(StructSchema, {
      fields: { a: { kind: { case: "numberValue", value: 1 } } },
    });
    passes(toBinary(StructSchema, record), StructSchema);
    const request = { prompt: "Привет", hardwareId: "d", screenWidth: -1, screenshot: "QQ==" };
    passes(toBinary(StreamRequestSchema, create(StreamRequestSchema, request)));
  });

  it("passes unknown fields of every type", () => {
    const fields = [
      0x78,
      1,
      0x79,
      ...repeat(8, 0),
      0x7a,
      1,
      65,
      0x7b,
      0x08,
      1,
      0x7c,
      0x7d,
      0,
      0,
      0,
      0,
    ];
    passes(Uint8Array.from(fields));
  });

  it.each([
    ["a tag alone", [0x0a]],
    ["a text that is cut short", [0x0a, 5, 65]],
    ["a number that does not end", [0x18, 0xff, 0xff]],
    ["a number of eleven bytes", [0x18, ...repeat(10, 0xff), 1]],
    ["a length beyond 32 bits", [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ["field 0", [0x02, 0]],
    ["wire type 7", [0x0f, 0]],
    ["a tag beyond 32 bits", [0x8a, 0x80, 0x80, 0x80, 0x80, 0x01, 0]],
    ["an end without a start", [0x0c]],
    ["a group without an end", [0x7b, 0x08, 1]],
    ["a group with another one's end", [0x7b, 0x74]],
    ["a number for a text", [0x08, 1]],
    ["a text for a number", [0x1a, 1, 65]],
    ["a text that is not UTF-8", [0x0a, 2, 0xc3, 0x28]],
    ["a fixed number that is cut short", [0x79, 1, 2, 3]],
  ])("refuses %s with INVALID_ARGUMENT", (_, bytes) => {
    expect(() => check(Uint8Array.from(bytes))).toThrow(refusal);
  });

  it.each([
    ["records, known or not", repeat(MAX_FIELDS + 1, 0x78, 0), "more than 4096 fields"],
    ["records of a group", Buffer.concat([repeat(1, 0x7b), repeat(MAX_FIELDS, 0x78, 0)]), "4096"],
    ["groups within groups", repeat(101, 0x7b), "nested too deeply"],
    ["text", text(2, Buffer.alloc(12 * 1024 * 1024 + 1, 65)), "screenshot must be at most"],
    ["text beyond ASCII", text(2, Buffer.from("ж".repeat(600_000))), "unless it is ASCII"],
  ])("refuses too many or too much: %s", (_, bytes, rule) => {
    expect(() => check(bytes)).toThrow(rule);
  });

  it("refuses 50 MB of two-byte fields within 20 ms", () => {
    const bytes = repeat(25_000_000, 0x78, 0);
    // The shortest of several: a machine with other work holds any one of them up.
    const tookMs = [1, 2, 3, 4, 5].map(() => {
      const beganMs = performance.now();
      expect(() => check(bytes)).toThrow(refusal);
      return performance.now() - beganMs;
    });
    expect(Math.min(...tookMs)).toBeLessThan(20);
  });
});
