import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TurnCancelled } from "../core/async.ts";
import { LimitExceeded } from "../core/errors.ts";
import { createActiveTurns } from "./active-turns.ts";

const limits = { maxTurns: 4, maxTurnsPerDevice: 2, maxTurnsPerConnection: 3, maxTurnMs: 30_000 };
const live = () => new AbortController().signal;
const reasonOf = (signal: AbortSignal) => (signal.reason as TurnCancelled).reason;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("createActiveTurns", () => {
  it("interrupts the device's turns alone, and names their sessions once, oldest first", async () => {
    const turns = createActiveTurns(limits);
    const first = turns.begin({ deviceId: "a", sessionId: "s1" }, live());
    const other = turns.begin({ deviceId: "b", sessionId: "s9" }, live());
    const second = turns.begin({ deviceId: "a", sessionId: "s2" }, live());
    expect((await turns.interrupt("a")).sessions).toEqual(["s1", "s2"]);
    expect([first, second].map((turn) => reasonOf(turn.signal))).toEqual([
      "interrupted",
      "interrupted",
    ]);
    expect(other.signal.aborted).toBe(false);
    expect((await turns.interrupt("a")).sessions).toEqual([]);
    expect((await turns.interrupt("b")).sessions).toEqual(["s9"]);
    expect(turns.count()).toBe(0);
  });

  it("names a session once though two of its turns run", async () => {
    const turns = createActiveTurns(limits);
    turns.begin({ deviceId: "a", sessionId: "s" }, live());
    turns.begin({ deviceId: "a", sessionId: "s" }, live());
    expect((await turns.interrupt("a")).sessions).toEqual(["s"]);
  });

  it("interrupts up to the turn that is named, and no later one", async () => {
    const turns = createActiveTurns(limits);
    const begin = (turnId: string) =>
      turns.begin({ deviceId: "a", sessionId: turnId, turnId }, live()).signal;
    const first = begin("t1");
    const other = turns.begin({ deviceId: "b", sessionId: "s", turnId: "t2" }, live()).signal;
    const second = begin("t2");
    expect((await turns.interrupt("a", "T1")).sessions).toEqual(["t1"]);
    expect([first, second, other].map(({ aborted }) => aborted)).toEqual([true, false, false]);
    const third = begin("t3");
    expect((await turns.interrupt("a", "t2")).sessions).toEqual(["t2"]);
    expect(third.aborted).toBe(false);
  });

  it("spares the turns that began after the named one had ended", async () => {
    const turns = createActiveTurns(limits);
    const before = turns.begin({ deviceId: "a", sessionId: "s1", turnId: "t1" }, live());
    turns.begin({ deviceId: "a", sessionId: "s2", turnId: "t2" }, live()).end();
    const after = turns.begin({ deviceId: "a", sessionId: "s3", turnId: "t3" }, live());
    expect((await turns.interrupt("a", "t2")).sessions).toEqual(["s1"]);
    expect([before, after].map(({ signal }) => signal.aborted)).toEqual([true, false]);
  });

  it("refuses a turn that was interrupted before it came, for 30 s, and ends no other for it", async () => {
    let nowMs = 0;
    const turns = createActiveTurns({ ...limits, now: () => nowMs });
    const later = turns.begin({ deviceId: "a", sessionId: "s", turnId: "t2" }, live());
    const begin = (deviceId: string) =>
      turns.begin({ deviceId, sessionId: "s", turnId: "t1" }, live());
    expect((await turns.interrupt("a", "t1")).sessions).toEqual([]);
    expect(later.signal.aborted).toBe(false);
    expect(begin("b").signal.aborted).toBe(false);
    expect(() => begin("a")).toThrow(expect.objectContaining({ reason: "interrupted" }));
    void turns.interrupt("c", "t1");
    nowMs = 30_000;
    expect(begin("c").signal.aborted).toBe(false);
  });

  it("refuses a second turn of an id that runs, and admits it again after that", () => {
    const turns = createActiveTurns(limits);
    const begin = () => turns.begin({ deviceId: "a", sessionId: "s", turnId: "t" }, live());
    const first = begin();
    expect(begin).toThrow("turn_id must not be that of a turn in progress");
    first.end();
    expect(begin().signal.aborted).toBe(false);
  });

  it("refuses one stream too many of a connection, turns and held ones together", () => {
    const turns = createActiveTurns(limits);
    const connection = {};
    const begin = (deviceId: string, over: object) =>
      turns.begin({ deviceId, sessionId: "s", connection: over }, live());
    const first = begin("a", connection);
    begin("b", connection);
    const release = turns.hold(connection);
    expect(() => begin("c", connection)).toThrow(/this connection runs 3 streams/);
    expect(() => turns.hold(connection)).toThrow(LimitExceeded);
    begin("c", {});
    expect(() => turns.hold({})).toThrow("gateway busy; retry in 2 s");
    release();
    first.end();
    begin("c", connection);
    expect(turns.count()).toBe(3);
  });

  it("lets the device begin again at once after an interrupt", () => {
    const turns = createActiveTurns({ ...limits, maxTurnsPerDevice: 1 });
    turns.begin({ deviceId: "a", sessionId: "s1" }, live());
    void turns.interrupt("a");
    expect(turns.begin({ deviceId: "a", sessionId: "s2" }, live()).signal.aborted).toBe(false);
  });

  it("refuses one turn too many of a device, and one too many in all", () => {
    const turns = createActiveTurns(limits);
    const begin = (deviceId: string) => turns.begin({ deviceId, sessionId: "s" }, live());
    const first = begin("a");
    begin("a");
    expect(() => begin("a")).toThrow(LimitExceeded);
    begin("b");
    begin("c");
    expect(() => begin("d")).toThrow("gateway busy; retry in 2 s");
    first.end();
    expect(begin("d").signal.aborted).toBe(false);
  });

  it("cancels a turn at its deadline", () => {
    const turns = createActiveTurns(limits);
    const { signal } = turns.begin({ deviceId: "a", sessionId: "s" }, live());
    vi.advanceTimersByTime(29_999);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(reasonOf(signal)).toBe("deadline");
    expect(turns.count()).toBe(0);
  });

  it("cancels a turn when its client leaves, and refuses one that has left", () => {
    const turns = createActiveTurns(limits);
    const client = new AbortController();
    const { signal } = turns.begin({ deviceId: "a", sessionId: "s" }, client.signal);
    client.abort();
    expect(reasonOf(signal)).toBe("disconnected");
    expect(turns.count()).toBe(0);
    expect(() => turns.begin({ sessionId: "s" }, client.signal)).toThrow(TurnCancelled);
  });

  it("leaves no timer and no listener when a turn ends, and never fires after it", async () => {
    const turns = createActiveTurns(limits);
    const client = new AbortController();
    const turn = turns.begin({ deviceId: "a", sessionId: "s" }, client.signal);
    turn.end();
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(client.signal, "abort")).toHaveLength(0);
    expect((await turns.interrupt("a")).sessions).toEqual([]);
    client.abort();
    expect(turn.signal.aborted).toBe(false);
  });

  it("cancels all and refuses new turns when the gateway stops", () => {
    const turns = createActiveTurns(limits);
    const { signal } = turns.begin({ deviceId: "a", sessionId: "s" }, live());
    turns.cancelAll("shutdown");
    expect(reasonOf(signal)).toBe("shutdown");
    expect(() => turns.begin({ sessionId: "s" }, live())).toThrow("the gateway is stopping");
  });
});

describe("createActiveTurns' statistics", () => {
  it("tell turns in progress, their ages, the most at once, and cuts by their reason", () => {
    let nowMs = 0;
    const turns = createActiveTurns({ ...limits, now: () => nowMs });
    expect(turns.statistics()).toMatchObject({ active: 0, peak: 0, oldestSeconds: 0 });
    const left = new AbortController();
    turns.begin({ deviceId: "a", sessionId: "s" }, left.signal);
    nowMs = 2000;
    const second = turns.begin({ deviceId: "b", sessionId: "s" }, live());
    nowMs = 3000;
    expect(turns.statistics()).toEqual({
      active: 2,
      peak: 2,
      oldestSeconds: 3,
      meanSeconds: 2,
      cut: { disconnected: 0, interrupted: 0, deadline: 0, shutdown: 0, revoked: 0 },
      cutAfterSent: 0,
    });
    second.end();
    left.abort();
    turns.begin({ deviceId: "c", sessionId: "s" }, live());
    void turns.interrupt("c");
    expect(turns.statistics()).toMatchObject({
      active: 0,
      peak: 2,
      cut: { disconnected: 1, interrupted: 1 },
    });
  });

  it("count turns that were cut while they played, and name them up to the one that is meant", async () => {
    const turns = createActiveTurns(limits);
    const cuts: string[] = [];
    const play = (turnId: string, deviceId = "a") => {
      const turn = turns.begin({ deviceId, sessionId: "s", turnId }, live());
      turn.follow({
        hasBegun: () => true,
        isPlaying: () => !cuts.includes(turnId),
        cut: () => void cuts.push(turnId),
        report: async () => undefined,
        bytes: () => 0,
      });
      turn.end();
    };
    for (const id of ["t1", "t2", "t3"]) play(id);
    play("other", "b");
    expect(await turns.interrupt("a", "t2")).toMatchObject({
      sessions: [],
      sentTurns: ["t1", "t2"],
    });
    expect(await turns.interrupt("a")).toEqual({
      sessions: [],
      sentTurns: ["t3"],
      unacknowledged: 0,
    });
    expect(turns.statistics().cutAfterSent).toBe(3);
  });
});
