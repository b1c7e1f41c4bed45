import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PromptContext } from "../models/language-model.ts";
import { createSessions, parseDeviceId, parseSessionId } from "./sessions.ts";

const session = (deviceId: string, sessionId = "s") => ({ deviceId, sessionId });

/** Sessions whose provider only notes what it was asked for. */
function open() {
  const asked: { readonly context: Promise<PromptContext>; readonly signal: AbortSignal }[] = [];
  const sessions = createSessions(async (context, signal) => void asked.push({ context, signal }), {
    maxPrepared: 3,
    now: () => Date.now(),
  });
  const begin = (deviceId: string, sessionId = "s") =>
    sessions.prepare(session(deviceId, sessionId), async () => ({ deviceId, sessionId }));
  return { sessions, begin, asked, open: () => asked.filter((one) => !one.signal.aborted) };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("createSessions", () => {
  const uuid = expect.stringMatching(
    /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  /** A turn of the device's current session; the id that it gets. */
  const turn = ({ sessions }: ReturnType<typeof open>, deviceId = "a") => {
    const sessionId = sessions.idOf({ deviceId });
    sessions.continue({ deviceId, sessionId });
    return sessionId;
  };

  it("takes the id that the client names", () => {
    const { sessions } = open();
    expect(sessions.idOf({ deviceId: "a", sessionId: "s" })).toBe("s");
    expect(sessions.idOf({ sessionId: "s" })).toBe("s");
  });

  it("continues a device's current session while turns come within 300 s", () => {
    const opened = open();
    const first = turn(opened);
    expect(first).toEqual(uuid);
    for (let at = 0; at < 3; at++) {
      vi.advanceTimersByTime(299_999);
      expect(turn(opened)).toBe(first);
    }
    vi.advanceTimersByTime(300_000);
    expect(turn(opened)).not.toBe(first);
  });

  it("gives each device its own session, and a text without a device one of its own", () => {
    const opened = open();
    const ids = [turn(opened, "a"), turn(opened, "b"), opened.sessions.idOf({})];
    ids.push(opened.sessions.idOf({}));
    expect(ids).toEqual([uuid, uuid, uuid, uuid]);
    expect(new Set(ids).size).toBe(4);
  });

  it("ends the session that was idle for longest where there are too many", () => {
    const sessions = createSessions(async () => undefined, { maxSessions: 2 });
    for (const deviceId of ["a", "b", "a", "c"]) {
      sessions.continue({ deviceId, sessionId: `of ${deviceId}` });
    }
    const ids = ["a", "b", "c"].map((deviceId) => sessions.idOf({ deviceId }));
    expect(ids).toEqual(["of a", uuid, "of c"]);
  });

  it("prepares at most once in 3 s for a device, however many pieces come", () => {
    const { begin, asked } = open();
    for (let at = 0; at < 100; at++) begin("a");
    expect(asked).toHaveLength(1);
    vi.advanceTimersByTime(3_000);
    begin("a");
    expect(asked).toHaveLength(2);
    expect(asked[1]?.signal).toBe(asked[0]?.signal);
  });

  it("prepares no more often for a device that is interrupted or changes its session", () => {
    const { sessions, begin, asked } = open();
    for (let at = 0; at < 100; at++) {
      begin("a", `s${at}`);
      sessions.dropPrepared("a");
    }
    expect(asked).toHaveLength(1);
  });

  it("prepares for so many devices at most, within 3 s and in all", () => {
    const { begin, asked } = open();
    for (let at = 0; at < 100; at++) begin(`d${at}`);
    expect(asked).toHaveLength(3);
    vi.advanceTimersByTime(3_000);
    for (let at = 0; at < 100; at++) begin(`e${at}`);
    expect(asked).toHaveLength(3);
  });

  it("releases what no turn came for within 15 s of the last piece", () => {
    const { begin, open: standing } = open();
    begin("a");
    vi.advanceTimersByTime(10_000);
    begin("a");
    vi.advanceTimersByTime(14_999);
    expect(standing()).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect([standing(), vi.getTimerCount()]).toEqual([[], 0]);
  });

  it("leaves what it made ready to the turn until that lets it go", () => {
    const { sessions, begin, open: standing } = open();
    begin("a");
    expect(sessions.takePrepared(session("a", "another"))()).toBeUndefined();
    const release = sessions.takePrepared(session("a"));
    vi.advanceTimersByTime(60_000);
    sessions.dropPrepared("a");
    expect(standing()).toHaveLength(1);
    release();
    expect([standing(), vi.getTimerCount()]).toEqual([[], 0]);
  });

  it("gives the one place of a device to the session that it speaks in last", async () => {
    const { begin, asked, open: standing } = open();
    begin("a", "one");
    vi.advanceTimersByTime(3_000);
    begin("a", "two");
    expect(asked).toHaveLength(2);
    expect(await Promise.all(standing().map(({ context }) => context))).toMatchObject([
      { sessionId: "two" },
    ]);
  });

  it("releases everything when it is stopped, and prepares nothing then", () => {
    const { sessions, begin, asked, open: standing } = open();
    begin("a");
    sessions.stop();
    vi.advanceTimersByTime(3_000);
    begin("a");
    expect([asked.length, standing(), vi.getTimerCount()]).toEqual([1, [], 0]);
  });
});

describe("parseSessionId and parseDeviceId", () => {
  it("refuse what is too long, holds a control character, or would name a prototype", () => {
    for (const id of ["__proto__", "a\u0000b", "x".repeat(1024 * 1024)]) {
      const named = (field: string) => expect.objectContaining({ name: "InvalidRequest", field });
      expect(() => parseSessionId(id)).toThrow(named("session_id"));
      expect(() => parseDeviceId(id)).toThrow(named("hardware_id"));
    }
  });
});
