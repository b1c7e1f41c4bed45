import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { createHistory } from "./history.ts";

const said = (user: string) => ({ user, assistant: `You said ${user}.` });

describe("createHistory", () => {
  it("recalls a session's turns, oldest first, and no other's", () => {
    const history = createHistory();
    history.record({ deviceId: "a", sessionId: "now" }, said("one"));
    history.record({ deviceId: "a", sessionId: "now" }, said("two"));
    history.record({ deviceId: "a", sessionId: "s" }, said("three"));
    history.record({ deviceId: "b", sessionId: "s" }, said("four"));
    expect(history.recall({ deviceId: "a", sessionId: "now" }).map(({ user }) => user)).toEqual([
      "one",
      "two",
    ]);
    expect(history.recall({ deviceId: "a", sessionId: "s" })).toEqual([said("three")]);
    expect(history.recall({ deviceId: "c", sessionId: "now" })).toEqual([]);
  });

  it("keeps no turn without a reply", () => {
    const history = createHistory();
    history.record({ deviceId: "a", sessionId: "now" }, { user: "two", assistant: "" });
    expect(history.recall({ deviceId: "a", sessionId: "now" })).toEqual([]);
  });

  it("keeps the latest turns, and the sessions touched last", () => {
    const history = createHistory({ maxMessagePairs: 2, maxSessions: 2 });
    for (const words of ["one", "two", "three"])
      history.record({ deviceId: "a", sessionId: "now" }, said(words));
    expect(history.recall({ deviceId: "a", sessionId: "now" }).map(({ user }) => user)).toEqual([
      "two",
      "three",
    ]);
    history.record({ deviceId: "b", sessionId: "now" }, said("x"));
    history.record({ deviceId: "a", sessionId: "now" }, said("four"));
    history.record({ deviceId: "c", sessionId: "now" }, said("y"));
    expect(history.recall({ deviceId: "b", sessionId: "now" })).toEqual([]);
    expect(history.recall({ deviceId: "a", sessionId: "now" })).toHaveLength(2);
  });

  it("begins anew after a rest", () => {
    const clock = { ms: 0 };
    const history = createHistory({ restMs: 1000, now: () => clock.ms });
    history.record({ deviceId: "a", sessionId: "now" }, said("one"));
    clock.ms = 1000;
    expect(history.recall({ deviceId: "a", sessionId: "now" })).toEqual([]);
    history.record({ deviceId: "a", sessionId: "now" }, said("two"));
    expect(history.recall({ deviceId: "a", sessionId: "now" })).toEqual([said("two")]);
  });

  it("keeps a device's latest turns within its bytes, over all of its sessions", () => {
    const history = createHistory({ maxDeviceBytes: 4_000 });
    for (let turn = 0; turn < 20; turn++) {
      const sessionId = `s${turn % 4}`;
      history.record({ deviceId: "a", sessionId }, said(`${turn} ${"x".repeat(200)}`));
      expect(history.bytes()).toBeLessThanOrEqual(4_000);
    }
    const latest = history.recall({ deviceId: "a", sessionId: "s3" });
    expect(latest.at(-1)?.user).toMatch(/^19 /);
  });

  it("takes from the device that has most where all together have too much", () => {
    const history = createHistory({ maxBytes: 20_000, maxDeviceBytes: 19_000 });
    history.record({ deviceId: "innocent", sessionId: "now" }, said("one"));
    for (let turn = 0; turn < 100; turn++) {
      for (const deviceId of ["greedy", "greedy too"]) {
        history.record({ deviceId, sessionId: `${turn}` }, said("x".repeat(3_000)));
      }
      expect(history.bytes()).toBeLessThanOrEqual(20_000);
    }
    expect(history.recall({ deviceId: "innocent", sessionId: "now" })).toEqual([said("one")]);
  });

  it("takes a session from the device that has most of them", () => {
    const history = createHistory({ maxSessions: 5 });
    history.record({ deviceId: "innocent", sessionId: "now" }, said("one"));
    for (let turn = 0; turn < 100; turn++) {
      history.record({ deviceId: "greedy", sessionId: `${turn}` }, said("two"));
    }
    expect(history.recall({ deviceId: "innocent", sessionId: "now" })).toEqual([said("one")]);
    expect(history.recall({ deviceId: "greedy", sessionId: "99" })).toHaveLength(1);
    expect(history.recall({ deviceId: "greedy", sessionId: "95" })).toEqual([]);
  });

  it("cuts a text that is too long to be worth its bytes", () => {
    const history = createHistory();
    history.record(
      { deviceId: "a", sessionId: "now" },
      { user: "x".repeat(65_536), assistant: "Yes." },
    );
    expect(history.recall({ deviceId: "a", sessionId: "now" })).toEqual([
      { user: `${"x".repeat(16_384)}…`, assistant: "Yes." },
    ]);
  });

  it("counts nothing once everything has gone", () => {
    const history = createHistory({ maxDeviceBytes: 100 });
    history.record({ deviceId: "a", sessionId: "now" }, said("one"));
    expect([history.bytes(), history.recall({ deviceId: "a", sessionId: "now" })]).toEqual([0, []]);
  });

  it("survives the longest prompts of many devices in a heap of 256 MB", {
    timeout: 60_000,
  }, () => {
    const program = `
      import { createHistory } from ${JSON.stringify(new URL("./history.ts", import.meta.url).href)};
      const history = createHistory();
      const fill = () => {
        for (let device = 0; device < 600; device++)
          for (let turn = 0; turn < 20; turn++) {
            const user = Buffer.alloc(65536, "words " + device).toString();
            const deltas = ["И "];
            for (let at = 0; at < 50; at++) deltas.push(user.slice(at * 40, at * 40 + 30));
            const session = { deviceId: "d" + device, sessionId: "c" + (turn % 5) };
            history.record(session, { user, assistant: deltas.reduce((all, one) => all + one) });
          }
      };
      fill();
      globalThis.gc();
      console.log(JSON.stringify({ heap: process.memoryUsage().heapUsed, kept: history.bytes() }));`;
    const flags = ["--max-old-space-size=256", "--expose-gc", "--input-type=module", "-e", program];
    const { status, stdout } = spawnSync(process.execPath, flags, { encoding: "utf8" });
    expect(status).toBe(0);
    const { heap, kept } = JSON.parse(stdout);
    expect(kept).toBeLessThanOrEqual(32 * 1024 * 1024);
    expect(heap).toBeLessThan(64 * 1024 * 1024);
  });
});
