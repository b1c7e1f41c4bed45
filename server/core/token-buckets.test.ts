import { describe, expect, it } from "vitest";
import { createTokenBuckets } from "./token-buckets.ts";

describe("createTokenBuckets", () => {
  it("allow a burst at once, and their rate in the long run", () => {
    let nowMs = 0;
    const buckets = createTokenBuckets({ burst: 3, perSecond: 2 }, () => nowMs);
    const taken = () => Array.from({ length: 5 }, () => buckets.take("a")).filter((ms) => ms === 0);
    expect(taken()).toHaveLength(3);
    nowMs += 1000;
    expect(taken()).toHaveLength(2);
    nowMs += 100;
    expect(taken()).toHaveLength(0);
    nowMs += 60_000;
    expect(taken()).toHaveLength(3);
  });

  it("say after how long a refused take would pass", () => {
    let nowMs = 0;
    const buckets = createTokenBuckets({ burst: 4, perSecond: 2 }, () => nowMs);
    expect([buckets.take("a", 4), buckets.take("a", 3)]).toEqual([0, 1500]);
    nowMs += 1500;
    expect(buckets.take("a", 3)).toBe(0);
  });

  it("owe what was charged, and take nothing until that is paid", () => {
    let nowMs = 0;
    const buckets = createTokenBuckets({ burst: 10, perSecond: 5 }, () => nowMs);
    buckets.charge("a", 29);
    expect(buckets.waitMs("a")).toBe(4000);
    nowMs += 4000;
    expect(buckets.take("a")).toBe(0);
  });

  it("learn from others what is missing, and never forget what they took themselves", () => {
    const buckets = createTokenBuckets({ burst: 3, perSecond: 1 }, () => 0);
    buckets.take("a", 2);
    buckets.atLeast("a", 1);
    expect(buckets.take("a")).toBe(0);
    buckets.atLeast("b", 3);
    expect(buckets.take("b")).toBe(1000);
  });

  it("count each key by itself", () => {
    const buckets = createTokenBuckets({ burst: 1, perSecond: 1 }, () => 0);
    expect(["a", "b", "a"].map((key) => buckets.take(key))).toEqual([0, 0, 1000]);
  });

  it("forget only the key that was not used for longest", () => {
    const buckets = createTokenBuckets({ burst: 2, perSecond: 1 }, () => 0, 3);
    for (const key of ["old", "used", "other", "used", "one more"]) buckets.take(key);
    expect(buckets.take("used")).toBe(1000);
    expect([buckets.take("old"), buckets.take("old"), buckets.take("old")]).toEqual([0, 0, 1000]);
  });
});
