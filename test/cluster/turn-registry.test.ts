import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, vi } from "vitest";
import type { ActiveTurns } from "../../server/conversation/active-turns-contract.ts";
import { LimitExceeded } from "../../server/core/errors.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, startRedisServer } from "../support/redis-server.ts";
import { shortestMs } from "../support/shortest.ts";
import { begin, open, WAIT } from "./registered-turns.ts";

const it = itUnless(!hasRedis());

describe("createRedisTurnRegistry", () => {
  it("gives a dead instance's turns back once its lease has ended", async () => {
    await using server = await startRedisServer();
    const [a, b] = [
      await open(server.url, { leaseMs: 2000 }),
      await open(server.url, { leaseMs: 2000 }),
    ];
    for (let turn = 0; turn < 3; turn++) await begin(a.turns, "d");
    await begin(a.turns, "e");
    await expect(begin(b.turns, "d")).rejects.toThrow(LimitExceeded);
    const last = await begin(b.turns, "f");
    await expect(begin(b.turns, "g")).rejects.toThrow("gateways busy; retry in 2 s");
    await a.vanish();
    await expect(begin(b.turns, "d")).rejects.toThrow(LimitExceeded);
    await vi.waitFor(async () => (await begin(b.turns, "d")).end(), WAIT);
    expect(await b.turns.list({ deviceId: "d" })).toEqual([]);
    last.end();
  });

  it("counts a dead instance as unacknowledged until its lease has ended, and waits for none", async () => {
    await using server = await startRedisServer();
    const [a, b] = [
      await open(server.url, { leaseMs: 600 }),
      await open(server.url, { leaseMs: 600 }),
    ];
    await a.vanish();
    await vi.waitFor(async () => {
      const startMs = performance.now();
      expect((await b.turns.interrupt("d")).unacknowledged).toBe(1);
      expect(performance.now() - startMs).toBeLessThan(150);
    }, WAIT);
    await vi.waitFor(
      async () => expect((await b.turns.interrupt("d")).unacknowledged).toBe(0),
      WAIT,
    );
  });

  it("forgets an instance that leaves at once", async () => {
    await using server = await startRedisServer();
    const [a, b] = [await open(server.url), await open(server.url)];
    for (let turn = 0; turn < 3; turn++) await begin(a.turns, "d");
    await a.stop();
    expect((await begin(b.turns, "d")).signal.aborted).toBe(false);
    expect((await b.turns.interrupt("e")).unacknowledged).toBe(0);
  });

  it("never ends a turn that began after the interrupt, on whichever instance", async () => {
    await using server = await startRedisServer();
    const [a, b] = [await open(server.url), await open(server.url)];
    for (let round = 0; round < 50; round++) {
      const deviceId = randomUUID();
      const before = await begin(b.turns, deviceId, "before");
      // The next turn is sent in the same instant, to the other instance, and to the one that was asked.
      const interrupted = a.turns.interrupt(deviceId);
      const next = [begin(b.turns, deviceId), begin(a.turns, deviceId)];
      const early = await Promise.allSettled(next);
      expect((await interrupted).sessions).toContain("before");
      expect(before.signal.aborted).toBe(true);
      expect(early[1]?.status).toBe("fulfilled");
      // What begins once the interrupt is known to have begun is spared.
      const later = await begin(b.turns, deviceId, "later");
      await interrupted;
      await sleep(0);
      expect(later.signal.aborted).toBe(false);
      await a.turns.interrupt(deviceId);
    }
  });

  it("keeps a device's current session, wherever its turns run, while they come", async () => {
    await using server = await startRedisServer();
    const idle = { sessionIdleMs: 2000 };
    const [a, b] = [await open(server.url, idle), await open(server.url, idle)];
    const current = async (turns: ActiveTurns, sessionId: string) => {
      const turn = turns.begin(
        { deviceId: "d", sessionId, isCurrent: true, turnId: randomUUID() },
        new AbortController().signal,
      );
      const found = await turn.admitted;
      turn.end();
      return found;
    };
    expect(await current(a.turns, "one")).toBe("one");
    expect(await current(b.turns, "two")).toBe("one");
    await begin(b.turns, "d", "named");
    expect(await current(a.turns, "three")).toBe("one");
    await sleep(2200);
    expect(await current(b.turns, "four")).toBe("four");
  });

  it("goes on alone while Redis is gone, and lists all again when it is back, empty", async () => {
    await using server = await startRedisServer();
    const [a, b] = [await open(server.url), await open(server.url)];
    const before = await begin(a.turns, "d", "before");
    await server.kill();
    for (const { redis } of [a, b])
      await vi.waitFor(() => expect(redis.status().state).toBe("degraded"), WAIT);
    const during = await begin(a.turns, "d", "during");
    expect(during.sessionId).toBe("during");
    const tookMs = await shortestMs(async () => {
      // It cannot reach the other, and says so.
      const { sessions, unacknowledged } = await b.turns.interrupt("d");
      expect({ sessions, unacknowledged }).toEqual({ sessions: [], unacknowledged: 1 });
    });
    expect(tookMs).toBeLessThan(100);
    await server.restart();
    await vi.waitFor(async () => {
      const listed = await b.turns.list({ deviceId: "d" });
      expect(listed.map(({ sessionId }) => sessionId)).toEqual(["before", "during"]);
      // Each hears by a connection of its own, which may come later.
      expect([a, b].map(({ redis }) => redis.status().state)).toEqual(["ok", "ok"]);
    }, WAIT);
    expect([before, during].map(({ signal }) => signal.aborted)).toEqual([false, false]);
    expect((await b.turns.interrupt("d")).sessions).toEqual(["before", "during"]);
    expect([before, during].map(({ signal }) => signal.aborted)).toEqual([true, true]);
  });

  it("ends what was interrupted while it could not hear, once it can, and nothing later", async () => {
    await using server = await startRedisServer();
    const [a, b] = [await open(server.url), await open(server.url)];
    const before = await begin(b.turns, "d", "before");
    const names = async (name: string) => {
      const list = (await a.redis.run((client) => client.client("LIST"))) as string;
      return list.split("\n").flatMap((line) => {
        const [, id] = new RegExp(`^id=(\\d+) .*name=parley-${name} `).exec(line) ?? [];
        return id === undefined ? [] : Number(id);
      });
    };
    // The later one is the second instance's.
    const ears = (await names("interrupts")).at(-1) ?? 0;
    await a.redis.run((client) => client.client("KILL", "ID", ears));
    const answer = await a.turns.interrupt("d");
    const later = await begin(b.turns, "d", "later");
    expect(answer.unacknowledged).toBe(1);
    await vi.waitFor(() => expect(before.signal.aborted).toBe(true), WAIT);
    await sleep(20);
    expect(later.signal.aborted).toBe(false);
  });

  it("waits 250 ms for an instance that is stalled with Redis, and keeps nothing of it", async () => {
    await using server = await startRedisServer();
    const a = await open(server.url);
    const own = await begin(a.turns, "d", "own");
    server.stall();
    const startMs = performance.now();
    const answer = a.turns.interrupt("d");
    expect(own.signal.aborted).toBe(true);
    expect((await answer).sessions).toEqual(["own"]);
    expect(performance.now() - startMs).toBeLessThan(500);
    for (let count = 0; count < 500; count++) {
      (await begin(a.turns, "d")).end();
      await a.turns.interrupt("d");
    }
    // The first one alone waited.
    expect(performance.now() - startMs).toBeLessThan(1500);
    server.resume();
    await vi.waitFor(() => expect(a.redis.status().state).toBe("ok"), WAIT);
    (await begin(a.turns, "d")).end();
    await vi.waitFor(async () => expect(await a.turns.list({ deviceId: "d" })).toEqual([]), WAIT);
  });
});
