import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createWaitingRows } from "./waiting-rows.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const usage = {
  type: "usage",
  usage: { deviceId: "d", createdAt: 0, source: "s", model: "m", inputTokens: 1, outputTokens: 1 },
} as const;

function add(rows = createWaitingRows(), write: Parameters<typeof rows.add>[0] = usage) {
  const settle = vi.fn();
  const onLate = vi.fn();
  return { rows, settle, onLate, id: rows.add(write, { timeoutMs: 100, settle, onLate }) };
}

describe("createWaitingRows", () => {
  it("counts a row once, as written or as lost, and settles it once", () => {
    const { rows, settle, id } = add();
    expect(rows.counts()).toEqual({ written: 0, lost: 0, waiting: 1 });
    rows.keep([id]);
    rows.lose([id]);
    vi.advanceTimersByTime(1000);
    expect(settle).toHaveBeenCalledOnce();
    expect(rows.counts()).toEqual({ written: 1, lost: 0, waiting: 0 });
    const lost = add(rows);
    rows.lose([lost.id]);
    expect(lost.settle).toHaveBeenCalledOnce();
    expect(lost.onLate).not.toHaveBeenCalled();
    expect(rows.counts()).toEqual({ written: 1, lost: 1, waiting: 0 });
  });

  it("settles a row that takes too long as lost, and counts it as written when it comes after all", () => {
    const { rows, settle, onLate, id } = add();
    vi.advanceTimersByTime(100);
    expect(settle).toHaveBeenCalledOnce();
    expect(onLate).toHaveBeenCalledOnce();
    expect(rows.counts()).toEqual({ written: 0, lost: 1, waiting: 1 });
    rows.keep([id]);
    expect(rows.counts()).toEqual({ written: 1, lost: 0, waiting: 0 });
  });

  it("does not count a late row twice that is lost in the end", () => {
    const { rows, settle, id } = add();
    vi.advanceTimersByTime(100);
    rows.lose([id]);
    expect(settle).toHaveBeenCalledOnce();
    expect(rows.counts()).toEqual({ written: 0, lost: 1, waiting: 0 });
  });

  it("counts no probe, and knows whether one waits", () => {
    const { rows, id } = add(createWaitingRows(), { type: "probe" });
    expect(rows.hasProbe()).toBe(true);
    rows.keep([id]);
    expect(rows.hasProbe()).toBe(false);
    add(rows, { type: "probe" });
    vi.advanceTimersByTime(100);
    rows.loseAll();
    expect(rows.counts()).toEqual({ written: 0, lost: 0, waiting: 0 });
  });

  it("knows how many bytes wait", () => {
    const rows = createWaitingRows();
    const begun = {
      deviceId: "d",
      id: "t",
      sessionId: "s",
      createdAt: 0,
      sentSamples: 0,
      tiers: [],
    };
    const turn = { ...begun, prompt: "p".repeat(1000), reply: "r".repeat(500), status: "done" };
    const { id } = add(rows, { type: "turn", turn });
    expect(rows.bytes()).toBeGreaterThanOrEqual(3000);
    rows.keep([id]);
    expect(rows.bytes()).toBe(0);
  });
});
