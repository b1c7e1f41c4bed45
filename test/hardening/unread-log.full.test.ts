import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { endProcesses, type Line, linesOf, speak, start } from "./gateway-process.ts";

afterEach(endProcesses);

/** The turns come as fast as they are answered: on a fast machine, faster than the default allows. */
const quiet = { SPEECH_TIERS: "tone", RATE_LIMIT_REQUESTS: "0" };

/** Runs turns, ten at a time. Each leaves a line of some 250 bytes in the log. */
async function runTurns(port: number, count: number): Promise<void> {
  let left = count;
  const run = async () => {
    while (left-- > 0) {
      const events = await (await speak(port, "say: a", "s".repeat(128))).text();
      expect(events).toContain("event: end");
    }
  };
  await Promise.all(Array.from({ length: 10 }, run));
}

const turnsOf = (lines: readonly Line[]) => lines.filter(({ msg }) => msg === "turn").length;

describe("a gateway whose log nobody reads", { timeout: 60_000 }, () => {
  it("answers on, and tells how much it dropped once somebody reads", async () => {
    const { child, port, exited } = await start(quiet);
    const count = 1800;
    await runTurns(port, count);
    const health = await fetch(`http://127.0.0.1:${port}/health`, {
      signal: AbortSignal.timeout(1000),
    });
    expect(health.status).toBe(200);
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (piece) => (log += piece));
    await vi.waitFor(() => expect(log).toMatch(/lines dropped"}\n/), { timeout: 5000 });
    await runTurns(port, 1);
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    const lines = linesOf(log);
    const dropped = lines.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
    expect(dropped).toBeGreaterThan(0);
    expect(turnsOf(lines) + dropped).toBe(count + 1);
    expect(lines.at(-1)?.msg).toBe("turn");
  });

  it("stops without waiting for a reader", async () => {
    const { child, port, exited } = await start(quiet);
    await runTurns(port, 500);
    const sinceMs = performance.now();
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect(performance.now() - sinceMs).toBeLessThan(5000);
  });

  it("loses no line at its end if somebody reads in time", async () => {
    const { child, port, exited } = await start(quiet);
    await runTurns(port, 600);
    child.kill("SIGTERM");
    const log = await text(child.stderr);
    expect(await exited).toBe(0);
    expect(turnsOf(linesOf(log))).toBe(600);
  });
});
