import { describe, expect, it } from "vitest";
import { createSwitches } from "./failovers.ts";

describe("createSwitches", () => {
  it("counts each pair, before and within an answer apart, in the order in which they came", () => {
    const switches = createSwitches();
    for (const midway of [true, false, true])
      switches.record({ from: "azure", to: "edge", midway });
    switches.record({ from: "edge", to: "azure", midway: true });
    expect(switches.read()).toEqual([
      { from: "azure", to: "edge", midway: true, times: 2 },
      { from: "azure", to: "edge", midway: false, times: 1 },
      { from: "edge", to: "azure", midway: true, times: 1 },
    ]);
  });
});
