import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  assembleBody,
  assembleEnvelopes,
  createEnvelopeBuffer,
  type EnvelopeAssembler,
} from "./envelopes.ts";

const maxMessageBytes = 200;
const limits = { plainBytes: maxMessageBytes, compressedBytes: 50 };
const plenty = () => createEnvelopeBuffer({ take: () => undefined, release: () => undefined });

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

function pushAll(assembler: EnvelopeAssembler, pieces: readonly Uint8Array[]): Uint8Array[] {
  return pieces.map((piece) => assembler.push(piece)).filter((bytes) => bytes.length > 0);
}

const messages = fc.array(fc.uint8Array({ maxLength: maxMessageBytes }), { maxLength: 12 });
const places = fc.array(fc.nat(), { maxLength: 60 });

describe("assembleEnvelopes", () => {
  it("lets all bytes go on in order, wherever the pieces were cut", () => {
    fc.assert(
      fc.property(messages, places, (sent, cuts) => {
        const body = Buffer.concat(sent.map(envelope));
        const joined = pushAll(assembleEnvelopes(plenty(), limits), cut(body, cuts));
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
        const assembler = assembleEnvelopes(plenty(), limits);
        let reached = 0;
        for (const piece of pushAll(assembler, cut(Buffer.concat(envelopes), cuts))) {
          reached += piece.length;
          expect(ends).toContain(reached);
        }
      }),
    );
  });

  it("lets a message in 100,000 pieces go on as one", () => {
    const body = envelope(new Uint8Array(100_000).fill(7));
    const pieces = Array.from(body, (byte) => Uint8Array.of(byte));
    expect(
      pushAll(assembleEnvelopes(plenty(), { ...limits, plainBytes: 100_000 }), pieces),
    ).toEqual([new Uint8Array(body)]);
  });

  it("does not copy a piece that is whole already", () => {
    const body = envelope(new Uint8Array(50));
    expect(assembleEnvelopes(plenty(), limits).push(body)).toBe(body);
  });

  it("refuses an envelope that announces too much, by its flag", () => {
    const start = envelope(new Uint8Array(maxMessageBytes + 1)).subarray(0, 9);
    const refusal = expect.objectContaining({ code: Code.ResourceExhausted });
    expect(() => assembleEnvelopes(plenty(), limits).push(start)).toThrow(refusal);
    const compressed = Uint8Array.of(1, 0, 0, 0, 51);
    expect(() => assembleEnvelopes(plenty(), limits).push(compressed)).toThrow(refusal);
  });

  it("keeps an envelope's unfinished start for the end", () => {
    const assembler = assembleEnvelopes(plenty(), limits);
    expect(assembler.push(Uint8Array.of(0, 0, 0, 0, 9, 1, 2))).toHaveLength(0);
    expect(assembler.rest()).toEqual(Uint8Array.of(0, 0, 0, 0, 9, 1, 2));
  });
});

describe("assembleBody", () => {
  it("keeps all bytes in order until the end", () => {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, index) => index);
    const assembler = assembleBody(plenty(), bytes.length);
    const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(pushAll(assembler, pieces)).toEqual([]);
    expect(assembler.rest()).toEqual(bytes);
  });

  it("refuses a byte more than the limit", () => {
    const assembler = assembleBody(plenty(), 10);
    assembler.push(new Uint8Array(10));
    const refusal = expect.objectContaining({ code: Code.ResourceExhausted });
    expect(() => assembler.push(new Uint8Array(1))).toThrow(refusal);
  });
});

function countedBuffer() {
  const held = { bytes: 0 };
  const buffer = createEnvelopeBuffer({
    take: (bytes) => {
      held.bytes += bytes;
    },
    release: (bytes) => {
      held.bytes -= bytes;
    },
  });
  return { buffer, held };
}

describe("createEnvelopeBuffer", () => {
  it("takes no more memory than is wanted", () => {
    const { buffer, held } = countedBuffer();
    for (let byte = 0; byte < 700; byte++) buffer.add(Uint8Array.of(byte), 700);
    expect(held.bytes).toBe(700);
  });

  it("takes memory only as bytes come, whatever is wanted", () => {
    const { buffer, held } = countedBuffer();
    buffer.add(Uint8Array.of(1), 5_000_000);
    expect(held.bytes).toBeLessThan(1000);
  });

  it("releases its memory when it is taken", () => {
    const { buffer, held } = countedBuffer();
    buffer.add(new Uint8Array(4000), 8000);
    buffer.take();
    expect(held.bytes).toBe(0);
    expect(buffer.size).toBe(0);
  });

  it("does not change what was taken", () => {
    const { buffer } = countedBuffer();
    buffer.add(Uint8Array.of(1, 2), 100);
    const taken = buffer.take();
    buffer.add(Uint8Array.of(9, 9), 100);
    expect(taken).toEqual(Uint8Array.of(1, 2));
  });

  it("keeps what it had when the budget refuses more", () => {
    const buffer = createEnvelopeBuffer({
      take(bytes) {
        if (bytes > 600) throw new Error("busy");
      },
      release: () => undefined,
    });
    buffer.add(new Uint8Array(600), 600);
    expect(() => buffer.add(new Uint8Array(700), 1300)).toThrow("busy");
    expect(buffer.size).toBe(600);
  });
});
