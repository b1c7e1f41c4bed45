import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pause } from "./pause.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a pause", () => {
  it("ends after its time, and leaves nothing behind", async () => {
    const paused = pause(250, new AbortController().signal);
    await vi.advanceTimersByTimeAsync(250);
    expect(await paused).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends as soon as the signal fires, and leaves no timer", async () => {
    const controller = new AbortController();
    const paused = pause(250, controller.signal);
    controller.abort();
    expect(await paused).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });
});
