import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Joiner, joinEnvelopes, joinPieces } from "./envelopes-joiner.ts";
import { createPile } from "./envelopes-pile.ts";

const maxMessageBytes = 200;
const plenty = () => createPile({ maxBytes: 1_000_000, heldBytes: 0 });

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
        const joined = pushAll(joinEnvelopes(plenty(), maxMessageBytes), cut(body, cuts));
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
        const joiner = joinEnvelopes(plenty(), maxMessageBytes);
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
    expect(pushAll(joinEnvelopes(plenty(), 100_000), pieces)).toEqual([new Uint8Array(body)]);
  });

  it("does not copy a piece that is whole already", () => {
    const body = envelope(new Uint8Array(50));
    expect(joinEnvelopes(plenty(), maxMessageBytes).push(body)).toBe(body);
  });

  it("lets an envelope that announces too much go on as it comes", () => {
    const joiner = joinEnvelopes(plenty(), maxMessageBytes);
    const start = envelope(new Uint8Array(maxMessageBytes + 1)).subarray(0, 9);
    expect(joiner.push(start)).toEqual(start);
    expect(joiner.push(Uint8Array.of(1))).toEqual(Uint8Array.of(1));
    expect(joiner.rest()).toHaveLength(0);
  });

  it("keeps an envelope's unfinished start for the end", () => {
    const joiner = joinEnvelopes(plenty(), maxMessageBytes);
    expect(joiner.push(Uint8Array.of(0, 0, 0, 0, 9, 1, 2))).toHaveLength(0);
    expect(joiner.rest()).toEqual(Uint8Array.of(0, 0, 0, 0, 9, 1, 2));
  });
});

describe("joinPieces", () => {
  it("lets all bytes go on in order, in few pieces", () => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, index) => index);
    const joiner = joinPieces(plenty());
    const joined = pushAll(
      joiner,
      Array.from(bytes, (byte) => Uint8Array.of(byte)),
    );
    expect(joined).toHaveLength(3);
    expect(Buffer.concat([...joined, joiner.rest()])).toEqual(Buffer.from(bytes));
  });

  it("does not copy a large piece", () => {
    const piece = new Uint8Array(64 * 1024);
    expect(joinPieces(plenty()).push(piece)).toBe(piece);
  });
});
