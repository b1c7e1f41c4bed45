import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createTier, startCall } from "./tier.ts";

const timeouts = { firstPartMs: 1000, idleMs: 500, totalMs: 1200 };
const never = new Promise<never>(() => undefined);
const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A provider that waits so long before each of its parts, and does not listen to its signal. */
function deaf(...delaysMs: readonly number[]) {
  const seen: { signal?: AbortSignal } = {};
  const aborter = new AbortController();
  async function* open(signal: AbortSignal) {
    seen.signal = signal;
    for (const [index, ms] of delaysMs.entries()) {
      await (Number.isFinite(ms) ? after(ms) : never);
      yield index;
    }
  }
  const call = startCall("deaf", timeouts, aborter.signal);
  const opened = open(call.signal);
  const next = call.reader(opened, (step) => step);
  /** All parts, as a run of the tier reads them. */
  const readAll = async () => {
    const parts: number[] = [];
    try {
      for (let step = await next(); !step.done; step = await next()) parts.push(step.value);
      return parts;
    } finally {
      call.close();
    }
  };
  return { call, next, readAll, seen, aborter };
}

describe("startCall", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("passes parts on that come in time", async () => {
    const { readAll } = deaf(900, 100, 100);
    const reading = readAll();
    await vi.advanceTimersByTimeAsync(1200);
    expect(await reading).toEqual([0, 1, 2]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each<[string, readonly number[], number]>([
    ["no first part in time", [Number.POSITIVE_INFINITY], 1000],
    ["silence between parts", [0, Number.POSITIVE_INFINITY], 500],
    ["a call that takes too long in all", [900, 200, 200], 1200],
  ])("throws a timeout on %s, though the provider is deaf", async (_, delaysMs, ms) => {
    const { readAll, seen } = deaf(...delaysMs);
    const reading = readAll();
    const refused = expect(reading).rejects.toMatchObject({ kind: "timeout", provider: "deaf" });
    await vi.advanceTimersByTimeAsync(ms + 1);
    await refused;
    expect(seen.signal?.aborted).toBe(true);
  });

  it("does not count the time that the reader takes", async () => {
    const { next, call } = deaf(10, 10, 10);
    const first = next();
    await vi.advanceTimersByTimeAsync(10);
    await first;
    await vi.advanceTimersByTimeAsync(60_000);
    const second = next();
    await vi.advanceTimersByTimeAsync(10);
    expect((await second).value).toBe(1);
    call.close();
  });

  it("throws the signal's reason as soon as it fires, and leaves nothing", async () => {
    const { readAll, aborter } = deaf(Number.POSITIVE_INFINITY);
    const reading = readAll();
    aborter.abort(new Error("interrupted"));
    await expect(reading).rejects.toThrow("interrupted");
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(aborter.signal, "abort")).toHaveLength(0);
  });

  it("tells the provider when the call is closed", async () => {
    const { next, call, seen } = deaf(0, 0);
    const first = next();
    await vi.advanceTimersByTimeAsync(1);
    await first;
    call.close();
    expect(seen.signal?.aborted).toBe(true);
  });
});

describe("createTier", () => {
  const limits = { firstPartMs: 1000, idleMs: 500, totalMs: 2000 };

  it("gives a slow provider its time, and no more than its share of the turn's", () => {
    expect(createTier({ name: "a" }, limits).timeouts()).toEqual(limits);
    const slow = createTier({ name: "b", timeoutMultiplier: 3 }, limits);
    expect(slow.timeouts({ firstPartMs: 100, idleMs: 100 })).toEqual({
      firstPartMs: 300,
      idleMs: 300,
      totalMs: 6000,
    });
    expect(slow.timeouts()).toEqual({
      firstPartMs: 3000,
      idleMs: 1500,
      totalMs: 6000,
    });
  });
});

describe("startCall, with a provider that has a queue of its own", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("takes no wait in that queue for silence, and counts the rest", async () => {
    const begunMs = performance.now();
    // It waits for 5 s, then it is silent.
    const queuedMs = () => Math.min(5_000, performance.now() - begunMs);
    const given = createTier({ name: "a", queuedMs }, timeouts).timeouts();
    const call = startCall("a", given, new AbortController().signal);
    const silent = { next: () => new Promise<never>(() => undefined) };
    const next = call.reader(silent, (step) => step)();
    const outcome = next.catch((error: Error) => [error.message, performance.now() - begunMs]);
    await vi.advanceTimersByTimeAsync(7_000);
    expect(await outcome).toEqual([expect.stringContaining("1000 ms"), 6_000]);
    call.close();
  });
});
