import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { historySuite } from "../../test/contracts/history-suite.ts";
import type { MessagePair } from "../models/language-model.ts";
import { createLocalHistory, type HistoryLimits } from "./local-history.ts";
import type { Session } from "./sessions.ts";

historySuite("createLocalHistory", (now) => ({ history: createLocalHistory({ now }) }));

const said = (user: string) => ({ user, assistant: `You said ${user}.` });
const session = (deviceId: string, sessionId = "now") => ({ deviceId, sessionId });

/** A history of turns that are over as they begin. */
function open(limits: HistoryLimits = {}) {
  const history = createLocalHistory(limits);
  let turns = 0;
  return {
    bytes: history.bytes.bind(history),
    async recall(of: Session) {
      return (await history.recall(of)).map(({ user, assistant }) => ({ user, assistant }));
    },
    record(of: Session, { user, assistant }: MessagePair) {
      const turn = history.begin({ ...of, id: `t${++turns}`, prompt: user });
      void turn.write({ reply: assistant, status: "done", sentSamples: 0, tiers: [] });
    },
  };
}

describe("createLocalHistory", () => {
  it("keeps the latest turns, and the sessions touched last", async () => {
    const history = open({ maxMessagePairs: 2, maxSessions: 2 });
    for (const words of ["one", "two", "three"]) history.record(session("a"), said(words));
    expect((await history.recall(session("a"))).map(({ user }) => user)).toEqual(["two", "three"]);
    history.record(session("b"), said("x"));
    history.record(session("a"), said("four"));
    history.record(session("c"), said("y"));
    expect(await history.recall(session("b"))).toEqual([]);
    expect(await history.recall(session("a"))).toHaveLength(2);
  });

  it("keeps a device's latest turns within its bytes, over all of its sessions", async () => {
    const history = open({ maxDeviceBytes: 4_000 });
    for (let turn = 0; turn < 20; turn++) {
      const sessionId = `s${turn % 4}`;
      history.record({ deviceId: "a", sessionId }, said(`${turn} ${"x".repeat(200)}`));
      expect(history.bytes()).toBeLessThanOrEqual(4_000);
    }
    const latest = await history.recall(session("a", "s3"));
    expect(latest.at(-1)?.user).toMatch(/^19 /);
  });

  it("takes from the device that has most where all together have too much", async () => {
    const history = open({ maxBytes: 20_000, maxDeviceBytes: 19_000 });
    history.record(session("innocent"), said("one"));
    for (let turn = 0; turn < 100; turn++) {
      for (const deviceId of ["greedy", "greedy too"]) {
        history.record({ deviceId, sessionId: `${turn}` }, said("x".repeat(3_000)));
      }
      expect(history.bytes()).toBeLessThanOrEqual(20_000);
    }
    expect(await history.recall(session("innocent"))).toEqual([said("one")]);
  });

  it("takes a session from the device that has most of them", async () => {
    const history = open({ maxSessions: 5 });
    history.record(session("innocent"), said("one"));
    for (let turn = 0; turn < 100; turn++) {
      history.record({ deviceId: "greedy", sessionId: `${turn}` }, said("two"));
    }
    expect(await history.recall(session("innocent"))).toEqual([said("one")]);
    expect(await history.recall(session("greedy", "99"))).toHaveLength(1);
    expect(await history.recall(session("greedy", "95"))).toEqual([]);
  });

  it("cuts a text that is too long to be worth its bytes", async () => {
    const history = open();
    history.record(session("a"), { user: "x".repeat(65_536), assistant: "Yes." });
    expect(await history.recall(session("a"))).toEqual([
      { user: `${"x".repeat(16_384)}…`, assistant: "Yes." },
    ]);
  });

  it("counts nothing once everything has gone", async () => {
    const history = open({ maxDeviceBytes: 100 });
    history.record(session("a"), said("one"));
    expect([history.bytes(), await history.recall(session("a"))]).toEqual([0, []]);
  });

  it("survives the longest prompts of many devices in a heap of 256 MB", {
    timeout: 60_000,
  }, () => {
    const program = `
      import { createLocalHistory } from ${JSON.stringify(new URL("./local-history.ts", import.meta.url).href)};
      const history = createLocalHistory();
      let turns = 0;
      const fill = () => {
        for (let device = 0; device < 600; device++)
          for (let turn = 0; turn < 20; turn++) {
            const user = Buffer.alloc(65536, "words " + device).toString();
            const deltas = ["И "];
            for (let at = 0; at < 50; at++) deltas.push(user.slice(at * 40, at * 40 + 30));
            const session = { deviceId: "d" + device, sessionId: "c" + (turn % 5) };
            const begun = history.begin({ ...session, id: "t" + ++turns, prompt: user });
            begun.write({ reply: deltas.reduce((all, one) => all + one), status: "done", sentSamples: 0, tiers: [] });
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
