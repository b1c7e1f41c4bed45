import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { bodyShares, createBodyBudget } from "./body-budget.ts";
import { inflate } from "./inflate.ts";

const mebibyte = 1024 * 1024;

function openReservation(shares = bodyShares(mebibyte)) {
  const budget = createBodyBudget(shares);
  return { budget, reservation: budget.open({ connection: {}, address: "a" }) };
}

const refusal = (code: Code) => expect.objectContaining({ code });

describe("inflate", () => {
  it("releases all it reserved", async () => {
    const { budget, reservation } = openReservation();
    const bytes = Buffer.from(randomBytes(300_000).toString("base64"));
    const inflated = await inflate(gzipSync(bytes), { maxBytes: mebibyte, reservation });
    expect(Buffer.from(inflated)).toEqual(bytes);
    expect(budget.reservedBytes()).toBe(0);
  });

  it("takes nothing for an empty message", async () => {
    const limits = { maxBytes: 10, reservation: openReservation().reservation };
    expect(await inflate(new Uint8Array(0), limits)).toHaveLength(0);
  });

  it("refuses more than the limit", async () => {
    const bytes = randomBytes(2000);
    const limits = { maxBytes: 1999, reservation: openReservation().reservation };
    await expect(inflate(gzipSync(bytes), limits)).rejects.toThrow(refusal(Code.ResourceExhausted));
  });

  it("refuses a message that grows more than a hundredfold, before it is inflated", async () => {
    const { budget, reservation } = openReservation();
    let mostBytes = 0;
    const watched = {
      ...reservation,
      take(bytes: number) {
        reservation.take(bytes);
        mostBytes = Math.max(mostBytes, budget.reservedBytes());
      },
    };
    const bomb = gzipSync(Buffer.alloc(10 * mebibyte));
    const refused = inflate(bomb, { maxBytes: 50 * mebibyte, reservation: watched });
    await expect(refused).rejects.toThrow("inflates to more than 100 times its size");
    expect(mostBytes).toBeLessThan(200 * bomb.length);
    expect(budget.reservedBytes()).toBe(0);
  });

  it("counts what comes out against the budget while it comes", async () => {
    const bytes = 200_000;
    const shares = { connectionBytes: bytes, addressBytes: bytes, totalBytes: bytes };
    const { budget, reservation } = openReservation(shares);
    const sent = gzipSync(randomBytes(mebibyte));
    await expect(inflate(sent, { maxBytes: 2 * mebibyte, reservation })).rejects.toThrow(
      "gateway busy",
    );
    expect(budget.reservedBytes()).toBe(0);
  });

  it.each([
    ["is no gzip", Buffer.from("plain text")],
    ["is cut short", gzipSync(randomBytes(1000)).subarray(0, 500)],
    ["lacks its checksum", gzipSync(randomBytes(1000)).subarray(0, -8)],
    ["is a header alone", gzipSync(randomBytes(10)).subarray(0, 10)],
  ])("answers INVALID_ARGUMENT where the message %s", async (_, bytes) => {
    const limits = { maxBytes: mebibyte, reservation: openReservation().reservation };
    await expect(inflate(bytes, limits)).rejects.toThrow(refusal(Code.InvalidArgument));
  });
});
