import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { withTimeouts } from "./tier.ts";

const timeouts = { firstPartMs: 1000, idleMs: 500, totalMs: 1200 };
const never = new Promise<never>(() => undefined);
const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

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
  const parts = withTimeouts("deaf", open, { timeouts, signal: aborter.signal });
  return { parts, seen, aborter };
}

describe("withTimeouts", () => {
  it("passes parts on that come in time", async () => {
    const { parts } = deaf(900, 100, 100);
    const reading = Array.fromAsync(parts);
    await vi.advanceTimersByTimeAsync(1200);
    expect(await reading).toEqual([0, 1, 2]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each<[string, readonly number[], number]>([
    ["no first part in time", [Number.POSITIVE_INFINITY], 1000],
    ["silence between parts", [0, Number.POSITIVE_INFINITY], 500],
    ["a call that takes too long in all", [900, 200, 200], 1200],
  ])("throws a timeout on %s, though the provider is deaf", async (_, delaysMs, ms) => {
    const { parts, seen } = deaf(...delaysMs);
    const reading = Array.fromAsync(parts);
    const refused = expect(reading).rejects.toMatchObject({ kind: "timeout", provider: "deaf" });
    await vi.advanceTimersByTimeAsync(ms + 1);
    await refused;
    expect(seen.signal?.aborted).toBe(true);
  });

  it("does not count the time that the reader takes", async () => {
    const { parts } = deaf(10, 10, 10);
    const first = parts.next();
    await vi.advanceTimersByTimeAsync(10);
    await first;
    await vi.advanceTimersByTimeAsync(60_000);
    const second = parts.next();
    await vi.advanceTimersByTimeAsync(10);
    expect((await second).value).toBe(1);
    await parts.return(undefined);
  });

  it("throws the signal's reason as soon as it fires, and leaves nothing", async () => {
    const { parts, aborter } = deaf(Number.POSITIVE_INFINITY);
    const reading = parts.next();
    aborter.abort(new Error("interrupted"));
    await expect(reading).rejects.toThrow("interrupted");
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(aborter.signal, "abort")).toHaveLength(0);
  });

  it("tells the provider when the reader leaves", async () => {
    const { parts, seen } = deaf(0, 0);
    const first = parts.next();
    await vi.advanceTimersByTimeAsync(1);
    await first;
    await parts.return(undefined);
    expect(seen.signal?.aborted).toBe(true);
  });
});
