import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { createBodyBudget, type Reservation } from "./body-budget.ts";
import { assembleEnvelopes, createEnvelopeBuffer } from "./envelopes.ts";
import { readPieces } from "./request-body.ts";

const message = (byte: number) => Uint8Array.of(0, 0, 0, 0, 2, byte, byte);

function openBudget(bytes = 1_000_000) {
  const shares = { connectionBytes: bytes, addressBytes: bytes, totalBytes: bytes };
  const budget = createBodyBudget(shares);
  return { budget, reservation: budget.open({ connection: {}, address: "" }) };
}

function open(
  body: Readable,
  reservation: Reservation = openBudget().reservation,
  maxBytes = 1000,
) {
  const limits = { plainBytes: maxBytes, compressedBytes: maxBytes };
  return readPieces(body, assembleEnvelopes(createEnvelopeBuffer(reservation), limits));
}

async function collect(body: Readable): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of open(body)) pieces.push(piece);
  return pieces;
}

const bytesOf = (...messages: Uint8Array[]) => messages.flatMap((bytes) => [...bytes]);
const oneByOne = (bytes: readonly number[]) => bytes.map((byte) => Buffer.of(byte));

describe("readPieces", () => {
  it("yields whole messages and then ends", async () => {
    const body = Readable.from(oneByOne(bytesOf(message(1), message(2))), { objectMode: false });
    expect((await collect(body)).map((piece) => new Uint8Array(piece))).toEqual([
      message(1),
      message(2),
    ]);
  });

  it("yields a message that needs many turns", async () => {
    const bytes = [0, 0, 0, 0x03, 0xe8, ...new Array<number>(1000).fill(3)];
    const body = Readable.from(oneByOne([...bytes, ...bytes, ...bytes, ...bytes]), {
      objectMode: false,
    });
    expect((await collect(body)).map((piece) => piece.length)).toEqual([1005, 1005, 1005, 1005]);
  });

  it("yields the unfinished rest of a body that ends within a message", async () => {
    const body = Readable.from([Buffer.of(0, 0, 0)], { objectMode: false });
    expect(await collect(body)).toEqual([Uint8Array.of(0, 0, 0)]);
  });

  it("ends at once for a body that has no bytes", async () => {
    expect(await collect(Readable.from([], { objectMode: false }))).toEqual([]);
  });

  it("throws what the body fails with", async () => {
    const body = new PassThrough();
    body.write(Buffer.of(0, 0));
    setImmediate(() => body.destroy(new Error("torn")));
    await expect(collect(body)).rejects.toThrow("torn");
  });

  it("throws when the body is closed before its end", async () => {
    const body = new PassThrough();
    body.write(Buffer.of(0, 0));
    setImmediate(() => body.destroy());
    await expect(collect(body)).rejects.toThrow("Premature close");
  });

  it("reads no further than it is asked", async () => {
    let made = 0;
    const body = new Readable({
      highWaterMark: 1,
      read() {
        made += 1;
        this.push(Buffer.from(message(made)));
      },
    });
    const pieces = open(body);
    await pieces.next();
    await pieces.next();
    await new Promise(setImmediate);
    expect(made).toBeLessThan(6);
    await pieces.return(undefined);
    body.destroy();
  });

  it("releases what it reserved and drops the rest when it is left early", async () => {
    const { budget, reservation } = openBudget();
    const body = new PassThrough();
    const pieces = open(body, reservation);
    body.write(Buffer.concat([message(1), Buffer.of(0, 0)]));
    await pieces.next();
    expect(budget.reservedBytes()).toBeGreaterThan(0);
    await pieces.return(undefined);
    expect(budget.reservedBytes()).toBe(0);
    body.end(Buffer.alloc(100_000));
    await new Promise((resolve) => body.once("end", resolve));
    expect(body.listenerCount("data")).toBe(0);
  });

  it("throws when all bodies together take too much", async () => {
    const body = Readable.from([Buffer.of(0, 0, 3, 0, 0), Buffer.alloc(150_000)], {
      objectMode: false,
    });
    const pieces = open(body, openBudget(500).reservation, 200_000);
    await expect(pieces.next()).rejects.toThrow("gateway busy; retry in 5 s");
  });
});
