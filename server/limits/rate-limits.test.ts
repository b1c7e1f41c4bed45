import { describe, expect, it } from "vitest";
import { LimitExceeded } from "../core/errors.ts";
import { createRateLimits } from "./rate-limits.ts";

/** The limit that a call meets, and the seconds to wait; undefined if it passes. */
function refusalOf(call: () => unknown) {
  try {
    call();
    return undefined;
  } catch (error) {
    if (!(error instanceof LimitExceeded)) throw error;
    return { limit: error.limit, seconds: error.retryAfterMs / 1000 };
  }
}

function open(requestsPerSecond: number, bytesPerSecond = 0) {
  const clock = { nowMs: 0 };
  const now = () => clock.nowMs;
  return { clock, limits: createRateLimits({ requestsPerSecond, bytesPerSecond, now }) };
}

function times(count: number, call: () => unknown): void {
  for (let index = 0; index < count; index++) call();
}

describe("createRateLimits", () => {
  it("gives an address ten times what a device has, and ten seconds of it at once", () => {
    const { limits, clock } = open(1);
    times(100, () => limits.open("a"));
    expect(refusalOf(() => limits.open("a"))).toEqual({ limit: "address_requests", seconds: 1 });
    expect(refusalOf(() => limits.open("b"))).toBeUndefined();
    clock.nowMs += 1000;
    times(10, () => limits.open("a"));
    expect(refusalOf(() => limits.open("a"))?.limit).toBe("address_requests");
  });

  it("counts a device over all its addresses, and each request once", () => {
    const { limits } = open(1);
    times(10, () => {
      const meter = limits.open(undefined);
      meter.bind("device");
      meter.bind("device");
    });
    const refused = { limit: "device_requests", seconds: 1 };
    expect(refusalOf(() => limits.open("b").bind("device"))).toEqual(refused);
    expect(refusalOf(() => limits.open("b").bind("another"))).toBeUndefined();
  });

  it("lets a request bring more bytes than are left, and refuses the next until they are paid", () => {
    const { limits, clock } = open(0, 100);
    const meter = limits.open("a");
    meter.charge(12_000);
    meter.charge(0);
    const refused = { limit: "address_bytes", seconds: 3 };
    expect(refusalOf(() => limits.open("a"))).toEqual(refused);
    clock.nowMs += 3000;
    expect(refusalOf(() => limits.open("a"))).toBeUndefined();
  });

  it("charges a device for the bytes that came before it was known", () => {
    const { limits } = open(0, 100);
    const meter = limits.open(undefined);
    meter.charge(2000);
    meter.bind("device");
    expect(refusalOf(() => limits.open("b").bind("device"))?.limit).toBe("device_bytes");
  });

  it("counts each message of a connection as a request", () => {
    const { limits } = open(1);
    const meter = limits.open("a");
    meter.bind("device");
    times(9, () => meter.message(10));
    expect(refusalOf(() => meter.message(10))?.limit).toBe("device_requests");
  });

  it("counts nothing where a limit is 0", () => {
    const { limits } = open(0);
    expect(refusalOf(() => times(100_000, () => limits.open("a").charge(1e9)))).toBeUndefined();
  });

  it("keeps no id that is longer than the contract allows", () => {
    const { limits } = open(1);
    const id = "x".repeat(300);
    expect(refusalOf(() => times(50, () => limits.open(undefined).bind(id)))).toBeUndefined();
  });

  it("counts refusals by limit", () => {
    const { limits } = open(1);
    times(10, () => limits.open(undefined).bind("device"));
    times(3, () => refusalOf(() => limits.open(undefined).bind("device")));
    expect(limits.refused()).toEqual({ device_requests: 3 });
  });

  it("names no word that makes a client offer a purchase", () => {
    const { limits } = open(1);
    times(100, () => limits.open("a"));
    expect(() => limits.open("a")).toThrow("too many requests from this address; retry in 1 s");
    expect(() => limits.open("a")).not.toThrow(/limit|quota|subscri/i);
  });

  it("tells others what was taken, and refuses what all of them have taken", () => {
    const spent: [string, string, number][] = [];
    const limits = createRateLimits({
      requestsPerSecond: 1,
      bytesPerSecond: 1,
      now: () => 0,
      shared: {
        spend({ name, key, rate }, tokens, onMissing) {
          spent.push([name, key, tokens]);
          onMissing(rate.burst);
        },
      },
    });
    limits.open("a");
    expect(refusalOf(() => limits.open("a"))?.limit).toBe("address_requests");
    expect(spent).toEqual([["address_requests", "a", 1]]);
  });
});
