import { describe, expect, it } from "vitest";
import { addressOf, createRateByAddress } from "./by-address.ts";

describe("createRateByAddress", () => {
  it("allows a burst at once, and its rate in the long run", () => {
    let nowMs = 0;
    const rate = createRateByAddress({ burst: 3, perSecond: 2 }, () => nowMs);
    const taken = () => Array.from({ length: 5 }, () => rate.take("a")).filter(Boolean).length;
    expect(taken()).toBe(3);
    nowMs += 1000;
    expect(taken()).toBe(2);
    nowMs += 100;
    expect(taken()).toBe(0);
    nowMs += 60_000;
    expect(taken()).toBe(3);
  });

  it("counts each address by itself", () => {
    const rate = createRateByAddress({ burst: 1, perSecond: 0 }, () => 0);
    expect(["a", "b", "a"].map(rate.take)).toEqual([true, true, false]);
  });

  it("forgets only whom it has not seen for longest", () => {
    const rate = createRateByAddress({ burst: 2, perSecond: 0 }, () => 0);
    rate.take("old");
    rate.take("seen");
    for (let other = 0; other < 9998; other++) rate.take(`other-${other}`);
    rate.take("seen");
    rate.take("one more");
    expect(rate.take("seen")).toBe(false);
    expect([rate.take("old"), rate.take("old"), rate.take("old")]).toEqual([true, true, false]);
  });
});

describe("addressOf", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:10.0.0.7", "10.0.0.7"],
    ["::1", "0:0:0:0::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8::5", "2001:db8:0:0::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    [undefined, ""],
  ])("counts %s as %s", (remoteAddress, expected) => {
    expect(addressOf({ remoteAddress })).toBe(expected);
  });
});
