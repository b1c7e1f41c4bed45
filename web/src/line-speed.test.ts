import { describe, expect, it } from "vitest";
import { LineSpeed } from "./line-speed.ts";

describe("LineSpeed", () => {
  it.each([
    [undefined, false],
    [10, false],
    [0.7, true],
  ])("begins with the browser's estimate: %s Mbit/s", (estimate, isSlow) => {
    expect(new LineSpeed(estimate).isSlow).toBe(isSlow);
  });

  it("learns from what a turn took, both ways", () => {
    const line = new LineSpeed();
    line.note({ bytes: 700_000, ttfaMs: 100, lastMs: 8_100 });
    expect(line.isSlow).toBe(true);
    line.note({ bytes: 700_000, ttfaMs: 100, lastMs: 600 });
    expect(line.isSlow).toBe(false);
  });

  it("learns nothing from a turn without sound, or with little", () => {
    const line = new LineSpeed(0.5);
    line.note({ bytes: 700_000, ttfaMs: undefined, lastMs: 10 });
    line.note({ bytes: 90_000, ttfaMs: 1, lastMs: 2 });
    expect(line.isSlow).toBe(true);
  });
});
