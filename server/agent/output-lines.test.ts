import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LogFields } from "../telemetry/logger.ts";
import { followLines } from "./output-lines.ts";

const logged: (LogFields & { message: string })[] = [];
const lines: string[] = [];
let output: PassThrough;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  logged.length = 0;
  lines.length = 0;
  output = new PassThrough({ highWaterMark: 4 * 1024 * 1024 });
  const log = (fields: LogFields, message: string) => logged.push({ ...fields, message });
  followLines(output, "stdout", log, (line) => lines.push(line));
});
afterEach(() => {
  vi.useRealTimers();
});

const read = () => new Promise((resolve) => setImmediate(resolve));

describe("followLines", () => {
  it("logs each line as a field, however it was cut", async () => {
    for (const piece of ["AGENT", "_READY\nsec", "ond\n\n", "last"]) output.write(piece);
    output.end();
    await read();
    expect(lines.filter((line) => line !== "")).toEqual(["AGENT_READY", "second", "last"]);
    expect(logged).toEqual(
      ["AGENT_READY", "second", "last"].map((line) => ({
        stream: "stdout",
        line,
        message: "agent output",
      })),
    );
  });

  it("logs no control characters, and at most 500 characters of a line", async () => {
    output.write(`\u001b[31mred\u0007\n${"x".repeat(20_000)}\n`);
    await read();
    expect(logged[0]?.["line"]).toBe("[31mred");
    expect(String(logged[1]?.["line"])).toHaveLength(500);
  });

  it("cuts a line without an end, so that it costs no memory", async () => {
    output.write("y".repeat(9000));
    await read();
    expect(lines).toEqual(["y".repeat(9000)]);
  });

  it("logs fifty lines a second and how many it dropped", async () => {
    output.write("line\n".repeat(80));
    await read();
    expect(logged).toHaveLength(50);
    expect(lines).toHaveLength(80);
    vi.advanceTimersByTime(1000);
    expect(logged.at(-1)).toEqual({
      stream: "stdout",
      dropped: 30,
      message: "agent output dropped",
    });
    output.write("later\n");
    await read();
    expect(logged.at(-1)?.["line"]).toBe("later");
  });

  it("reads no more than a megabyte a second", async () => {
    output.write("z".repeat(2 * 1024 * 1024));
    await read();
    expect(output.isPaused()).toBe(true);
    vi.advanceTimersByTime(1000);
    expect(output.isPaused()).toBe(false);
  });
});
