import { describe, expect, it } from "vitest";
import { NoProviderLeft, ProviderError } from "../core/errors.ts";
import {
  createTier,
  runTiers,
  type TierFailover,
  type TierOutcome,
  type TierRun,
} from "./tiers.ts";

type Scripted = { name: string; parts: readonly string[]; error?: Error };

const timeouts = { firstPartMs: 1000, idleMs: 500, totalMs: 2000 };

async function* play(provider: Scripted) {
  yield* provider.parts;
  if (provider.error) throw provider.error;
}

function open(providers: readonly Scripted[], more: Partial<TierRun<Scripted, string>> = {}) {
  const aborter = new AbortController();
  const outcomes: TierOutcome[] = [];
  const switches: TierFailover[] = [];
  const onOutcome = (outcome: TierOutcome) => outcomes.push(outcome);
  const onFailover = (change: TierFailover) => switches.push(change);
  const tiers = providers.map((provider) => createTier(provider, timeouts));
  const run = { kind: "text", tiers, open: play, onOutcome, onFailover, ...more };
  return { outcomes, switches, tiers, aborter, parts: runTiers(run, aborter.signal) };
}

const down = (name: string) => new ProviderError(name, "server", "is down");

describe("runTiers", () => {
  it("yields the first tier's parts and asks no other", async () => {
    const { parts, outcomes } = open([
      { name: "a", parts: ["1", "2"] },
      { name: "b", parts: ["3"] },
    ]);
    expect(await Array.fromAsync(parts)).toEqual([
      { tier: "a", part: "1" },
      { tier: "a", part: "2" },
    ]);
    expect(outcomes).toEqual([{ tier: "a" }]);
  });

  it("falls to the next tier when one fails before its first part", async () => {
    const { parts, outcomes } = open([
      { name: "a", parts: [], error: down("a") },
      { name: "b", parts: ["3"] },
    ]);
    expect(await Array.fromAsync(parts)).toEqual([{ tier: "b", part: "3" }]);
    expect(outcomes.map((o) => [o.tier, o.error?.message])).toEqual([
      ["a", "a: is down"],
      ["b", undefined],
    ]);
  });

  it("takes a tier that ends without a part for failed", async () => {
    const { parts } = open([
      { name: "a", parts: [] },
      { name: "b", parts: ["3"] },
    ]);
    expect(await Array.fromAsync(parts)).toEqual([{ tier: "b", part: "3" }]);
  });

  it("goes on with the next tier when one fails after it has begun, and says so", async () => {
    const { parts, switches } = open([
      { name: "a", parts: ["1"], error: down("a") },
      { name: "b", parts: ["2"] },
    ]);
    expect((await Array.fromAsync(parts)).map(({ part }) => part)).toEqual(["1", "2"]);
    expect(switches).toEqual([{ from: "a", to: "b", midway: true }]);
  });

  it("says which tier took over from which, once it has begun, and passes by who was not asked", async () => {
    const { parts, switches, tiers } = open([
      { name: "a", parts: [], error: down("a") },
      { name: "b", parts: ["1"] },
      { name: "c", parts: [], error: down("c") },
      { name: "d", parts: ["2", "3"] },
    ]);
    tiers[1]?.breaker.fail(new ProviderError("b", "quota", "is empty"));
    expect(await Array.fromAsync(parts)).toHaveLength(2);
    expect(switches).toEqual([{ from: "c", to: "d", midway: false }]);
  });

  it("asks nobody else when a tier fails with nothing missing", async () => {
    const { parts } = open(
      [
        { name: "a", parts: ["1"], error: down("a") },
        { name: "b", parts: ["2"] },
      ],
      { isWhole: () => true },
    );
    expect((await Array.fromAsync(parts)).map(({ part }) => part)).toEqual(["1"]);
  });

  it("passes by a tier whose breaker is open", async () => {
    const { parts, tiers } = open([
      { name: "a", parts: ["1"] },
      { name: "b", parts: ["2"] },
    ]);
    tiers[0]?.breaker.fail(
      new ProviderError("a", "rate_limit", "slow down", { retryAfterMs: 9000 }),
    );
    expect(await Array.fromAsync(parts)).toEqual([{ tier: "b", part: "2" }]);
  });

  it("says for how long a tier is left alone when none is left", async () => {
    const { parts, tiers } = open([{ name: "a", parts: ["1"] }]);
    tiers[0]?.breaker.fail(
      new ProviderError("a", "rate_limit", "slow down", { retryAfterMs: 9000 }),
    );
    await expect(parts.next()).rejects.toThrow("a: failed before, and is left alone for 9 s more");
  });

  it("asks no other tier when the request itself is at fault", async () => {
    const { parts } = open([
      { name: "a", parts: [], error: new ProviderError("a", "invalid_request", "too long") },
      { name: "b", parts: ["3"] },
    ]);
    await expect(parts.next()).rejects.toThrow("a: too long");
  });

  it("throws every cause when no tier is left", async () => {
    const { parts } = open([
      { name: "a", parts: [], error: down("a") },
      { name: "b", parts: [] },
    ]);
    const error = await parts.next().catch((reason) => reason);
    expect(error).toBeInstanceOf(NoProviderLeft);
    expect(error.message).toContain("a: is down; b: ended without an answer");
  });

  it("throws the signal's reason on a cancel, and tells no outcome", async () => {
    const { parts, outcomes, aborter } = open([
      { name: "a", parts: ["1"], error: new Error("socket closed") },
      { name: "b", parts: ["3"] },
    ]);
    await parts.next();
    aborter.abort(new Error("interrupted"));
    await expect(parts.next()).rejects.toThrow("interrupted");
    expect(outcomes).toEqual([]);
  });

  it("keeps what a provider did not foresee to itself", async () => {
    const { parts } = open([{ name: "a", parts: [], error: new TypeError("secret") }]);
    await expect(parts.next()).rejects.toThrow("a: failed unexpectedly");
  });
});

describe("createTier", () => {
  it("gives a slow provider, and one that has to load first, its time", () => {
    expect(createTier({ name: "a" }, timeouts).timeouts).toEqual(timeouts);
    expect(
      createTier({ name: "b", timeoutMultiplier: 3, firstPartMs: 100 }, timeouts).timeouts,
    ).toEqual({
      firstPartMs: 3100,
      idleMs: 1500,
      totalMs: 6100,
    });
  });
});
