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
    line.note({ ttfaMs: 100, unheld: { bytes: 280_000, lastMs: 3_100 } });
    expect(line.isSlow).toBe(true);
    line.note({ ttfaMs: 100, unheld: { bytes: 280_000, lastMs: 600 } });
    expect(line.isSlow).toBe(false);
  });

  it("learns nothing from a turn without sound, or with little", () => {
    const line = new LineSpeed(0.5);
    line.note({ ttfaMs: undefined, unheld: { bytes: 280_000, lastMs: 10 } });
    line.note({ ttfaMs: 1, unheld: { bytes: 90_000, lastMs: 2 } });
    expect(line.isSlow).toBe(true);
  });
});
