import { describe, expect, it } from "vitest";
import { createUsageCounts } from "./usage.ts";

const report = {
  deviceId: "a",
  source: "browser_agent",
  model: "small",
  inputTokens: 10,
  outputTokens: 3,
};

describe("createUsageCounts", () => {
  it("adds up by source and model over all devices", () => {
    const usage = createUsageCounts();
    usage.record(report);
    usage.record({ ...report, deviceId: "b" });
    usage.record({ ...report, model: "large", inputTokens: 0 });
    const { deviceId: _, ...total } = report;
    expect(usage.totals()).toEqual([
      { ...total, reports: 2, inputTokens: 20, outputTokens: 6 },
      { ...total, model: "large", reports: 1, inputTokens: 0 },
    ]);
  });

  it("keeps devices apart", () => {
    const usage = createUsageCounts();
    usage.record(report);
    usage.record({ ...report, deviceId: "b", inputTokens: 1 });
    usage.record(report);
    expect(usage.byDevice()).toEqual([
      { ...report, deviceId: "b", reports: 1, inputTokens: 1 },
      { ...report, reports: 2, inputTokens: 20, outputTokens: 6 },
    ]);
  });

  it("counts 32 sources and 32 models by name, and the others as other", () => {
    const usage = createUsageCounts();
    const names = Array.from({ length: 40 }, (_, index) => `name-${index}`);
    for (const name of names) usage.record({ ...report, source: name });
    for (const name of names) usage.record({ ...report, model: name });
    const [sources, models] = [
      new Set(usage.totals().map(({ source }) => source)),
      new Set(usage.totals().map(({ model }) => model)),
    ];
    expect([sources.size, models.size]).toEqual([33, 33]);
    const other = usage.totals().filter(({ source }) => source === "other");
    expect(other.filter(({ model }) => model === "small")).toMatchObject([{ reports: 8 }]);
    expect(other.filter(({ model }) => model === "other")).toMatchObject([{ reports: 9 }]);
    usage.record({ ...report, source: "name-0" });
    expect(usage.totals()[0]).toMatchObject({ source: "name-0", reports: 2 });
  });

  it("lets the device fall out that reported longest ago, and keeps the totals", () => {
    const usage = createUsageCounts(3);
    for (const deviceId of ["a", "b", "c", "a", "d"]) usage.record({ ...report, deviceId });
    expect(usage.byDevice().map(({ deviceId }) => deviceId)).toEqual(["c", "a", "d"]);
    expect(usage.totals()).toMatchObject([{ reports: 5, inputTokens: 50 }]);
  });
});
