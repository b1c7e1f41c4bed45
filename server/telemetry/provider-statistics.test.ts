import { describe, expect, it } from "vitest";
import { ProviderError } from "../core/errors.ts";
import { createProviderStatistics } from "./provider-statistics.ts";

const refused = new ProviderError("azure", "authentication", "the key is wrong");
const down = new ProviderError("azure", "connectivity", "cannot be reached");

describe("createProviderStatistics", () => {
  it("counts calls, and keeps the last fault with its category", () => {
    const statistics = createProviderStatistics();
    for (const error of [undefined, down, undefined, undefined]) statistics.record("azure", error);
    expect(statistics.read("azure")).toEqual({
      succeeded: 3,
      failed: 1,
      successRate: 0.75,
      lastError: "azure: cannot be reached",
      lastErrorKind: "connectivity",
    });
    expect(statistics.read("edge")).toEqual({ succeeded: 0, failed: 0 });
  });

  it("tells what somebody must mend from an outage, until it works", () => {
    const statistics = createProviderStatistics();
    const isMisconfigured = () => statistics.read("azure").misconfigured;
    statistics.record("azure", refused);
    expect(isMisconfigured()).toBe(true);
    statistics.record("azure", down);
    expect(isMisconfigured()).toBeUndefined();
    statistics.note("azure", refused);
    expect(isMisconfigured()).toBe(true);
    statistics.record("azure");
    expect(isMisconfigured()).toBeUndefined();
  });

  it("does not count a fault that no call has met", () => {
    const statistics = createProviderStatistics();
    statistics.note("azure", new Error("went away"));
    expect(statistics.read("azure")).toEqual({
      succeeded: 0,
      failed: 0,
      lastError: "failed unexpectedly; the log says why",
    });
  });

  it("takes what keeps a provider from starting for something to mend", () => {
    const statistics = createProviderStatistics();
    statistics.note("langchain", new Error("the package is not installed"), true);
    expect(statistics.read("langchain").misconfigured).toBe(true);
    statistics.note("azure", down, true);
    expect(statistics.read("azure").misconfigured).toBeUndefined();
  });
});
