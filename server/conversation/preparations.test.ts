import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createPreparations } from "./preparations.ts";

const owner = (deviceId: string, conversationId = "s") => ({ deviceId, conversationId });

/** Preparations whose provider only notes what it was asked for. */
function open() {
  const asked: { readonly sessionId: string | undefined; readonly signal: AbortSignal }[] = [];
  const preparations = createPreparations(
    async ({ sessionId }, signal) => void asked.push({ sessionId, signal }),
    { most: 3 },
  );
  const begin = (deviceId: string, sessionId = "s") =>
    preparations.begin(owner(deviceId, sessionId), () => ({ deviceId, sessionId }));
  return { preparations, begin, asked, open: () => asked.filter((one) => !one.signal.aborted) };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("createPreparations", () => {
  it("prepares at most once in 3 s for a device, however many pieces come", () => {
    const { begin, asked } = open();
    for (let at = 0; at < 100; at++) begin("a");
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(3_000);
    begin("a");
    expect(asked).toHaveLength(2);
    expect(asked[1]?.signal).toBe(asked[0]?.signal);
  });

  it("prepares no more often for a device that is interrupted or changes its session", () => {
    const { preparations, begin, asked } = open();
    for (let at = 0; at < 100; at++) {
      begin("a", `s${at}`);
      preparations.dropDevice("a");
    }
    expect(asked).toHaveLength(1);
  });

  it("prepares for so many devices at most, within 3 s and in all", () => {
    const { begin, asked } = open();
    for (let at = 0; at < 100; at++) begin(`d${at}`);
    expect(asked).toHaveLength(3);
    vi.advanceTimersByTime(3_000);
    for (let at = 0; at < 100; at++) begin(`e${at}`);
    expect(asked).toHaveLength(3);
  });

  it("releases what no turn came for within 15 s of the last piece", () => {
    const { begin, open: standing } = open();
    begin("a");
    vi.advanceTimersByTime(10_000);
    begin("a");
    vi.advanceTimersByTime(14_999);
    expect(standing()).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect([standing(), vi.getTimerCount()]).toEqual([[], 0]);
  });

  it("leaves what it made ready to the turn until that lets it go", () => {
    const { preparations, begin, open: standing } = open();
    begin("a");
    expect(preparations.take(owner("a", "another"))()).toBeUndefined();
    const release = preparations.take(owner("a"));
    vi.advanceTimersByTime(60_000);
    preparations.dropDevice("a");
    expect(standing()).toHaveLength(1);
    release();
    expect([standing(), vi.getTimerCount()]).toEqual([[], 0]);
  });

  it("gives the one place of a device to the session that it speaks in last", () => {
    const { begin, asked, open: standing } = open();
    begin("a", "one");
    vi.advanceTimersByTime(3_000);
    begin("a", "two");
    expect(asked).toHaveLength(2);
    expect(standing().map(({ sessionId }) => sessionId)).toEqual(["two"]);
  });

  it("releases everything when it is stopped, and prepares nothing then", () => {
    const { preparations, begin, asked, open: standing } = open();
    begin("a");
    preparations.stop();
    vi.advanceTimersByTime(3_000);
    begin("a");
    expect([asked.length, standing(), vi.getTimerCount()]).toEqual([1, [], 0]);
  });
});
