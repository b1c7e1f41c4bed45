import { describe, expect, it } from "vitest";
import { createFailovers } from "./failovers.ts";

describe("createFailovers", () => {
  it("counts each pair, before and within an answer apart, in the order in which they came", () => {
    const failovers = createFailovers();
    for (const midway of [true, false, true])
      failovers.record({ from: "azure", to: "edge", midway });
    failovers.record({ from: "edge", to: "azure", midway: true });
    expect(failovers.read()).toEqual([
      { from: "azure", to: "edge", midway: true, times: 2 },
      { from: "azure", to: "edge", midway: false, times: 1 },
      { from: "edge", to: "azure", midway: true, times: 1 },
    ]);
  });
});
