import { describe, expect, it } from "vitest";
import { ProviderError } from "../core/errors.ts";
import { createTallies } from "./provider-statistics.ts";

const refused = new ProviderError("azure", "authentication", "the key is wrong");
const down = new ProviderError("azure", "connectivity", "cannot be reached");

describe("createTallies", () => {
  it("counts calls, and keeps the last fault with its category", () => {
    const tallies = createTallies();
    for (const error of [undefined, down, undefined, undefined]) tallies.record("azure", error);
    expect(tallies.read("azure")).toEqual({
      succeeded: 3,
      failed: 1,
      successRate: 0.75,
      lastError: "azure: cannot be reached",
      lastFault: "connectivity",
    });
    expect(tallies.read("edge")).toEqual({ succeeded: 0, failed: 0 });
  });

  it("tells what somebody must mend from an outage, until it works", () => {
    const tallies = createTallies();
    const isMisconfigured = () => tallies.read("azure").misconfigured;
    tallies.record("azure", refused);
    expect(isMisconfigured()).toBe(true);
    tallies.record("azure", down);
    expect(isMisconfigured()).toBeUndefined();
    tallies.note("azure", refused);
    expect(isMisconfigured()).toBe(true);
    tallies.record("azure");
    expect(isMisconfigured()).toBeUndefined();
  });

  it("does not count a fault that no call has met", () => {
    const tallies = createTallies();
    tallies.note("azure", new Error("went away"));
    expect(tallies.read("azure")).toEqual({ succeeded: 0, failed: 0, lastError: "went away" });
  });

  it("takes what keeps a provider from starting for something to mend", () => {
    const tallies = createTallies();
    tallies.note("langchain", new Error("the package is not installed"), true);
    expect(tallies.read("langchain").misconfigured).toBe(true);
    tallies.note("azure", down, true);
    expect(tallies.read("azure").misconfigured).toBeUndefined();
  });
});
