import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assembleEnvelopes, createEnvelopeBuffer } from "./envelopes.ts";
import { createBase64Decoder, decodeBase64 } from "./grpc-web-text.ts";

/** Cuts bytes into pieces, at places that need neither be sorted nor lie within. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...edges].map((from, index) => bytes.subarray(from, edges[index] ?? bytes.length));
}

function decode(pieces: readonly Uint8Array[]): Buffer {
  const decoder = createBase64Decoder();
  return Buffer.concat(pieces.map((piece) => decoder.push(piece)));
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
// Some pieces are long, for they are decoded in another way than short ones.
const part = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 400 }));
const parts = fc.array(part, { maxLength: 12 });
const places = fc.array(fc.nat(), { maxLength: 60 });

describe("createBase64Decoder", () => {
  it("gives the same bytes wherever the text is cut, with padding within it", () => {
    fc.assert(
      fc.property(parts, places, (encoded, cuts) => {
        const text = Buffer.from(encoded.map(base64).join(""));
        expect(decode(cut(text, cuts))).toEqual(Buffer.concat(encoded));
      }),
    );
  });

  it("refuses with INVALID_ARGUMENT every character outside the alphabet", () => {
    fc.assert(
      fc.property(part, fc.nat(), fc.nat(255), (bytes, at, code) => {
        fc.pre(!/[A-Za-z0-9+/=]/.test(String.fromCharCode(code)));
        const text = Buffer.from(base64(bytes));
        const place = at % (text.length + 1);
        const spoilt = [text.subarray(0, place), Buffer.of(code), text.subarray(place)];
        expect(() => decode(spoilt)).toThrowError(
          expect.objectContaining({ code: Code.InvalidArgument }),
        );
      }),
    );
  });

  it.each(["=", "A=", "AA=A", "AAA=====", "AAAA=", "QQ==="])(
    "refuses the padding of %j",
    (text) => {
      expect(() => decode([Buffer.from(text)])).toThrowError("the body is not base64");
    },
  );

  it("gives each byte as soon as its characters are there", () => {
    const decoder = createBase64Decoder();
    const lengths = [..."YWJj"].map((character) => decoder.push(Buffer.from(character)).length);
    expect(lengths).toEqual([0, 1, 1, 1]);
  });
});

describe("decodeBase64", () => {
  const open = () =>
    decodeBase64(
      assembleEnvelopes(createEnvelopeBuffer({ take: () => undefined, release: () => undefined }), {
        plainBytes: 1000,
        compressedBytes: 1000,
      }),
    );
  const message = Uint8Array.of(0, 0, 0, 0, 2, 7, 7);

  it("lets whole messages go on, each encoded by itself", () => {
    const assembler = open();
    const text = Buffer.from(base64(message) + base64(message));
    const pieces = Array.from(text, (byte) => assembler.push(Uint8Array.of(byte)));
    expect(pieces.filter((bytes) => bytes.length > 0)).toEqual([message, message]);
    expect(assembler.rest()).toHaveLength(0);
  });

  it("ends with an unfinished message if a lone character follows the last one", () => {
    const assembler = open();
    assembler.push(Buffer.from(`${base64(message)}A`));
    expect(assembler.rest()).toHaveLength(1);
  });
});
