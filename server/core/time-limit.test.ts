import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { limitTime } from "./time-limit.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

describe("limitTime", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("fires after the time, with the reason that is made then", () => {
    const { signal } = limitTime(new AbortController().signal, 100, () => new Error("too late"));
    vi.advanceTimersByTime(99);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(signal.reason).toEqual(new Error("too late"));
  });

  it("fires with the signal, and its reason", () => {
    const controller = new AbortController();
    const { signal } = limitTime(controller.signal, 100);
    controller.abort(new Error("left"));
    expect(signal.reason).toEqual(new Error("left"));
  });

  it("fires no more once it is cleared", () => {
    const { signal, clear } = limitTime(new AbortController().signal, 100);
    clear();
    vi.advanceTimersByTime(1000);
    expect(signal.aborted).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("fires though nobody listens and garbage is collected", async () => {
    vi.useRealTimers();
    const { signal } = limitTime(new AbortController().signal, 20);
    await collectGarbageFor(60);
    expect(signal.aborted).toBe(true);
  });
});

/** A weak reference holds until the present turn of the event loop is over. */
async function collectGarbageFor(ms: number): Promise<void> {
  for (const endMs = performance.now() + ms; performance.now() < endMs; ) {
    collectGarbage();
    await sleep(5);
  }
}
