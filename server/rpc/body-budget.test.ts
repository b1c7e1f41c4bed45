import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { bodyShares, createBodyBudget } from "./body-budget.ts";

const mebibyte = 1024 * 1024;
const shares = {
  connectionBytes: mebibyte,
  addressBytes: 2 * mebibyte,
  totalBytes: 3 * mebibyte,
};

const busy = expect.objectContaining({
  code: Code.ResourceExhausted,
  rawMessage: "gateway busy; retry in 5 s",
});

describe("createBodyBudget", () => {
  it("refuses what a connection takes above its share", () => {
    const budget = createBodyBudget(shares);
    const owner = { connection: {}, address: "a" };
    budget.open(owner).take(mebibyte);
    expect(() => budget.open(owner).take(200_000)).toThrow(busy);
    budget.open({ connection: {}, address: "a" }).take(200_000);
  });

  it("refuses what an address takes above its share, over any connections", () => {
    const budget = createBodyBudget(shares);
    const open = (address: string) => budget.open({ connection: {}, address });
    open("a").take(mebibyte);
    open("a").take(mebibyte);
    expect(() => open("a").take(200_000)).toThrow(busy);
    open("b").take(200_000);
  });

  it("refuses what all bodies take above the total", () => {
    const budget = createBodyBudget(shares);
    const open = (address: string) => budget.open({ connection: {}, address });
    for (const address of ["a", "b", "c"]) open(address).take(mebibyte);
    expect(() => open("d").take(200_000)).toThrow(busy);
  });

  it("lets small bodies pass, whatever is held", () => {
    const budget = createBodyBudget(shares);
    for (const address of ["a", "b", "c"]) budget.open({ connection: {}, address }).take(mebibyte);
    const reservation = budget.open({ connection: {}, address: "a" });
    reservation.take(64 * 1024);
    reservation.take(64 * 1024);
    expect(() => reservation.take(2000)).toThrow(busy);
  });

  it("has room again for what was released", () => {
    const budget = createBodyBudget(shares);
    const owner = { connection: {}, address: "a" };
    const reservation = budget.open(owner);
    reservation.take(mebibyte);
    reservation.release(mebibyte / 2);
    budget.open(owner).take(mebibyte / 2);
    reservation.close();
    reservation.close();
    expect(budget.reservedBytes()).toBe(mebibyte / 2);
    budget.open(owner).take(mebibyte / 2);
  });

  it("does not count what it refused", () => {
    const budget = createBodyBudget(shares);
    const reservation = budget.open({ connection: {}, address: "a" });
    expect(() => reservation.take(2 * mebibyte)).toThrow(busy);
    expect(budget.reservedBytes()).toBe(0);
  });
});

describe("bodyShares", () => {
  it.each([128 * 1024, 50 * mebibyte, 256 * mebibyte])(
    "let a connection send one of the largest messages (%i bytes)",
    (maxMessageBytes) => {
      const reservation = createBodyBudget(bodyShares(maxMessageBytes)).open({
        connection: {},
        address: "a",
      });
      expect(() => reservation.take(maxMessageBytes + 5)).not.toThrow();
    },
  );
});
