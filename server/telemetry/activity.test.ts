import { describe, expect, it } from "vitest";
import { ProviderError } from "../core/errors.ts";
import { createActivity } from "./activity.ts";
import type { LogFields, Logger } from "./logger.ts";

const refused = new ProviderError("azure", "authentication", "the key is wrong");
const down = new ProviderError("azure", "connectivity", "cannot be reached");

/** An activity, and its log: each line's level, message and fields. */
function setUp(logTurns = false) {
  const lines: [string, string, LogFields][] = [];
  const write = (level: string) => (fields: LogFields, message: string) =>
    void lines.push([level, message, fields]);
  const logger: Logger = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
  return { activity: createActivity({ logger, turnLogger: logger, logTurns }), lines };
}

describe("createActivity", () => {
  it("counts calls, and keeps the last error with its kind", () => {
    const { activity, lines } = setUp();
    for (const error of [undefined, down, undefined, undefined]) {
      activity.onOutcome({ tier: "azure", ...(error && { error }) });
    }
    expect(activity.statistics("azure")).toEqual({
      succeeded: 3,
      failed: 1,
      successRate: 0.75,
      lastError: "azure: cannot be reached",
      lastErrorKind: "connectivity",
    });
    expect(activity.statistics("edge")).toEqual({ succeeded: 0, failed: 0 });
    expect(lines).toEqual([
      ["warn", "provider failed", expect.objectContaining({ errorKind: "connectivity" })],
    ]);
  });

  it("tells an error that needs a change of settings from an outage, until a success", () => {
    const { activity } = setUp();
    const isMisconfigured = () => activity.statistics("azure").misconfigured;
    activity.onOutcome({ tier: "azure", error: refused });
    expect(isMisconfigured()).toBe(true);
    activity.onOutcome({ tier: "azure", error: down });
    expect(isMisconfigured()).toBeUndefined();
    activity.onError("azure", refused);
    expect(isMisconfigured()).toBe(true);
    activity.onOutcome({ tier: "azure" });
    expect(isMisconfigured()).toBeUndefined();
  });

  it("does not count an error outside of any call", () => {
    const { activity } = setUp();
    activity.onError("azure", new Error("went away"));
    expect(activity.statistics("azure")).toEqual({
      succeeded: 0,
      failed: 0,
      lastError: "failed unexpectedly; the log says why",
    });
  });

  it("takes what keeps a provider from starting for misconfigured", () => {
    const { activity } = setUp();
    activity.onStartError("langchain", new Error("the package is not installed"));
    expect(activity.statistics("langchain").misconfigured).toBe(true);
    activity.onStartError("azure", down);
    expect(activity.statistics("azure").misconfigured).toBeUndefined();
  });

  it("counts each failover, before and within an answer apart, in the order in which they came", () => {
    const { activity } = setUp();
    for (const midway of [true, false, true])
      activity.onFailover({ from: "azure", to: "edge", midway });
    activity.onFailover({ from: "edge", to: "azure", midway: true });
    expect(activity.failovers()).toEqual([
      { from: "azure", to: "edge", midway: true, times: 2 },
      { from: "azure", to: "edge", midway: false, times: 1 },
      { from: "edge", to: "azure", midway: true, times: 1 },
    ]);
  });

  it("counts turns by outcome, and logs those that fail, or all", () => {
    const done = { sessionId: "s", outcome: "done", durationMs: 1 } as const;
    const failed = { ...done, outcome: "failed", error: down } as const;
    const quiet = setUp();
    const talkative = setUp(true);
    for (const { activity } of [quiet, talkative]) {
      for (const report of [done, failed, done]) activity.onTurn(report);
      expect(activity.turns()).toEqual({ done: 2, failed: 1 });
    }
    expect(quiet.lines.map(([level]) => level)).toEqual(["error"]);
    expect(talkative.lines.map(([level]) => level)).toEqual(["info", "error", "info"]);
  });
});
