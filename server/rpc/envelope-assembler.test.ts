import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Joiner, joinEnvelopes, joinWhole } from "./envelope-assembler.ts";
import { createPile } from "./envelope-buffer.ts";

const maxMessageBytes = 200;
const limits = { plainBytes: maxMessageBytes, compressedBytes: 50 };
const plenty = () => createPile({ take: () => undefined, give: () => undefined });

function envelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Cuts bytes into pieces, at places that need neither be sorted nor lie within. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...edges].map((from, index) => bytes.subarray(from, edges[index] ?? bytes.length));
}

function pushAll(joiner: Joiner, pieces: readonly Uint8Array[]): Uint8Array[] {
  return pieces.map((piece) => joiner.push(piece)).filter((bytes) => bytes.length > 0);
}

const messages = fc.array(fc.uint8Array({ maxLength: maxMessageBytes }), { maxLength: 12 });
const places = fc.array(fc.nat(), { maxLength: 60 });

describe("joinEnvelopes", () => {
  it("lets all bytes go on in order, wherever the pieces were cut", () => {
    fc.assert(
      fc.property(messages, places, (sent, cuts) => {
        const body = Buffer.concat(sent.map(envelope));
        const joined = pushAll(joinEnvelopes(plenty(), limits), cut(body, cuts));
        expect(Buffer.concat(joined)).toEqual(body);
      }),
    );
  });

  it("ends every piece where an envelope ends", () => {
    fc.assert(
      fc.property(messages, places, (sent, cuts) => {
        const envelopes = sent.map(envelope);
        const ends = new Set<number>();
        for (const [index] of envelopes.entries()) {
          ends.add(Buffer.concat(envelopes.slice(0, index + 1)).length);
        }
        const joiner = joinEnvelopes(plenty(), limits);
        let reached = 0;
        for (const piece of pushAll(joiner, cut(Buffer.concat(envelopes), cuts))) {
          reached += piece.length;
          expect(ends).toContain(reached);
        }
      }),
    );
  });

  it("lets a message in 100,000 pieces go on as one", () => {
    const body = envelope(new Uint8Array(100_000).fill(7));
    const pieces = Array.from(body, (byte) => Uint8Array.of(byte));
    expect(pushAll(joinEnvelopes(plenty(), { ...limits, plainBytes: 100_000 }), pieces)).toEqual([
      new Uint8Array(body),
    ]);
  });

  it("does not copy a piece that is whole already", () => {
    const body = envelope(new Uint8Array(50));
    expect(joinEnvelopes(plenty(), limits).push(body)).toBe(body);
  });

  it("refuses an envelope that announces too much, by its flag", () => {
    const start = envelope(new Uint8Array(maxMessageBytes + 1)).subarray(0, 9);
    const refusal = expect.objectContaining({ code: Code.ResourceExhausted });
    expect(() => joinEnvelopes(plenty(), limits).push(start)).toThrow(refusal);
    const compressed = Uint8Array.of(1, 0, 0, 0, 51);
    expect(() => joinEnvelopes(plenty(), limits).push(compressed)).toThrow(refusal);
  });

  it("keeps an envelope's unfinished start for the end", () => {
    const joiner = joinEnvelopes(plenty(), limits);
    expect(joiner.push(Uint8Array.of(0, 0, 0, 0, 9, 1, 2))).toHaveLength(0);
    expect(joiner.rest()).toEqual(Uint8Array.of(0, 0, 0, 0, 9, 1, 2));
  });
});

describe("joinWhole", () => {
  it("keeps all bytes in order until the end", () => {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => index);
    const joiner = joinWhole(plenty(), bytes.length);
    const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(pushAll(joiner, pieces)).toEqual([]);
    expect(joiner.rest()).toEqual(bytes);
  });

  it("refuses a byte more than the limit", () => {
    const joiner = joinWhole(plenty(), 10);
    joiner.push(new Uint8Array(10));
    const refusal = expect.objectContaining({ code: Code.ResourceExhausted });
    expect(() => joiner.push(new Uint8Array(1))).toThrow(refusal);
  });
});
