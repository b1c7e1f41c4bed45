import { describe, expect, it } from "vitest";
import { NoProviderLeft, ProviderError } from "../core/errors.ts";
import type { TierFailover, TierOutcome } from "../telemetry/activity.ts";
import { createTier } from "./tier.ts";
import { runTiers, type TierRun } from "./tiers.ts";

type Scripted = { name: string; parts: readonly string[]; error?: Error };

const timeouts = { firstPartMs: 1000, idleMs: 500, totalMs: 2000 };

async function* play(provider: Scripted) {
  yield* provider.parts;
  if (provider.error) throw provider.error;
}

type Said = { readonly tier: string; readonly part: string };
type Run = TierRun<Scripted, string, Said>;

/** A call whose parts are passed on as they come. */
function call(provider: Scripted) {
  let hasBegun = false;
  return {
    parts: play(provider),
    push(part: string) {
      hasBegun = true;
      return [{ tier: provider.name, part }];
    },
    end: (): Said[] => [],
    fail: (): Said[] => [],
    hasBegun: () => hasBegun,
  };
}

async function* oneByOne<T>(batches: AsyncIterable<readonly T[]>) {
  for await (const batch of batches) yield* batch;
}

function open(providers: readonly Scripted[], more: Partial<Run> = {}) {
  const aborter = new AbortController();
  const outcomes: TierOutcome[] = [];
  const failovers: TierFailover[] = [];
  const onOutcome = (outcome: TierOutcome) => outcomes.push(outcome);
  const onFailover = (change: TierFailover) => failovers.push(change);
  const tiers = providers.map((provider) => createTier(provider, timeouts));
  const run: Run = { kind: "text", tiers, open: call, onOutcome, onFailover, ...more };
  return { outcomes, failovers, tiers, aborter, parts: oneByOne(runTiers(run, aborter.signal)) };
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
    const { parts, failovers } = open([
      { name: "a", parts: ["1"], error: down("a") },
      { name: "b", parts: ["2"] },
    ]);
    expect((await Array.fromAsync(parts)).map(({ part }) => part)).toEqual(["1", "2"]);
    expect(failovers).toEqual([{ from: "a", to: "b", midway: true }]);
  });

  it("says which tier took over from which, once it has begun, and passes by who was not asked", async () => {
    const { parts, failovers, tiers } = open([
      { name: "a", parts: [], error: down("a") },
      { name: "b", parts: ["1"] },
      { name: "c", parts: [], error: down("c") },
      { name: "d", parts: ["2", "3"] },
    ]);
    tiers[1]?.breaker.admit()?.fail(new ProviderError("b", "quota", "is empty"));
    expect(await Array.fromAsync(parts)).toHaveLength(2);
    expect(failovers).toEqual([{ from: "c", to: "d", midway: false }]);
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

  it("skips a tier whose circuit is open", async () => {
    const { parts, tiers } = open([
      { name: "a", parts: ["1"] },
      { name: "b", parts: ["2"] },
    ]);
    tiers[0]?.breaker
      .admit()
      ?.fail(new ProviderError("a", "rate_limit", "slow down", { retryAfterMs: 9000 }));
    expect(await Array.fromAsync(parts)).toEqual([{ tier: "b", part: "2" }]);
  });

  it("says when a tier is tried again when none is left", async () => {
    const { parts, tiers } = open([{ name: "a", parts: ["1"] }]);
    tiers[0]?.breaker
      .admit()
      ?.fail(new ProviderError("a", "rate_limit", "slow down", { retryAfterMs: 9000 }));
    await expect(parts.next()).rejects.toThrow("a: circuit open; retrying in 9 s");
  });

  it("calls no other tier after an outcome that ends the chain, unless the run says otherwise", async () => {
    const providers = [
      { name: "a", parts: [], error: new ProviderError("a", "withheld", "not for you") },
      { name: "b", parts: ["3"] },
    ];
    await expect(open(providers).parts.next()).rejects.toThrow("a: not for you");
    const { parts } = open(providers, { callsNext: () => true });
    expect(await Array.fromAsync(parts)).toEqual([{ tier: "b", part: "3" }]);
  });

  it("passes by a tier that cannot make what is missing", async () => {
    const { parts } = open(
      [
        { name: "a", parts: [], error: down("a") },
        { name: "b", parts: ["2"] },
        { name: "c", parts: ["3"] },
      ],
      { canOpen: ({ name }) => name !== "b" },
    );
    expect(await Array.fromAsync(parts)).toEqual([{ tier: "c", part: "3" }]);
  });

  it("ends well when a tier has nothing to add, where it may", async () => {
    const providers = [
      { name: "a", parts: ["1"], error: down("a") },
      { name: "b", parts: [] },
    ];
    const { parts } = open(providers, { mayAddNothing: () => true });
    expect((await Array.fromAsync(parts)).map(({ part }) => part)).toEqual(["1"]);
    const { parts: strict } = open(providers);
    await expect(Array.fromAsync(strict)).rejects.toThrow("b: ended without an answer");
  });

  it("tells each call which tier it follows, and why", async () => {
    const sources: unknown[] = [];
    const { parts, tiers } = open(
      [
        { name: "a", parts: [], error: down("a") },
        { name: "b", parts: ["1"] },
        { name: "c", parts: ["1"], error: down("c") },
        { name: "d", parts: ["2"] },
      ],
      {
        open: (provider, _signal, source) => {
          sources.push(source);
          return call(provider);
        },
      },
    );
    tiers[1]?.breaker.admit()?.fail(new ProviderError("b", "quota", "is empty"));
    await Array.fromAsync(parts);
    expect(sources).toEqual([
      { tier: "a" },
      { tier: "c", from: "b", reason: "circuit_open" },
      { tier: "d", from: "c", reason: "server" },
    ]);
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

  /** Holds every part back until the end; what is left of a failed call is "left". */
  const holding = (provider: Scripted) => {
    const held: Said[] = [];
    return {
      ...call(provider),
      push(part: string) {
        held.push({ tier: provider.name, part });
        return [];
      },
      end: () => held,
      fail: () => (held.length > 0 ? [{ tier: provider.name, part: "left" }] : []),
      hasBegun: () => held.length > 0,
    };
  };

  it("takes a tier for begun whose parts are held back, and yields what is left of it", async () => {
    const { parts, failovers } = open(
      [
        { name: "a", parts: ["1", "2"], error: down("a") },
        { name: "b", parts: ["3"] },
      ],
      { open: holding, flush: () => [{ tier: "", part: "flushed" }] },
    );
    expect((await Array.fromAsync(parts)).map(({ part }) => part)).toEqual([
      "left",
      "3",
      "flushed",
    ]);
    expect(failovers).toEqual([{ from: "a", to: "b", midway: true }]);
  });

  it("yields what is left of all before it throws", async () => {
    const { parts } = open([{ name: "a", parts: ["1"], error: down("a") }], {
      open: holding,
      flush: () => [{ tier: "", part: "flushed" }],
    });
    expect((await parts.next()).value?.part).toBe("left");
    expect((await parts.next()).value?.part).toBe("flushed");
    await expect(parts.next()).rejects.toThrow(NoProviderLeft);
  });
});
