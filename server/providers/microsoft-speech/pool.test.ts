import { describe, expect, it } from "vitest";
import { createConnectionPool } from "./pool.ts";

/** A connection that opens and ends on command. */
function createConnection() {
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const state = { isOpen: false, isClosed: false };
  return {
    opened: opened.promise,
    ended: ended.promise,
    isOpen: () => state.isOpen,
    isClosed: () => state.isClosed,
    answer: async () => {
      state.isOpen = true;
      opened.resolve();
      await opened.promise;
    },
    end: async () => {
      state.isOpen = false;
      ended.resolve();
      await ended.promise;
    },
    close: () => {
      state.isOpen = false;
      state.isClosed = true;
      ended.resolve();
    },
  };
}

function createPool(maxIdle = 2) {
  const connections: ReturnType<typeof createConnection>[] = [];
  const clock = { nowMs: 0 };
  const open = () => {
    const connection = createConnection();
    connections.push(connection);
    return connection;
  };
  const pool = createConnectionPool({
    open,
    warmConnections: 2,
    maxIdle,
    nowMs: () => clock.nowMs,
  });
  return { pool, connections, clock };
}

describe("createConnectionPool", () => {
  it("opens its warm connections once", () => {
    const { pool, connections } = createPool();
    pool.fill();
    pool.fill();
    expect(connections).toHaveLength(2);
  });

  it("takes a warm connection that is open first, and opens another", async () => {
    const { pool, connections } = createPool();
    pool.fill();
    await connections[1]?.answer();
    expect(pool.take()).toEqual({ connection: connections[1], isNew: false });
    await Promise.resolve();
    expect(connections).toHaveLength(3);
  });

  it("opens no warm connections while the service does not answer", async () => {
    const { pool, connections } = createPool();
    expect(pool.take().isNew).toBe(true);
    await Promise.resolve();
    expect(connections).toHaveLength(1);
  });

  it("drops a warm connection that ends, and replaces it only if it lasted", async () => {
    const { pool, connections, clock } = createPool();
    pool.fill();
    await connections[0]?.end();
    expect(connections).toHaveLength(2);
    clock.nowMs = 60_000;
    await connections[1]?.end();
    expect(connections).toHaveLength(4);
  });

  it("keeps connections that are given back, up to `maxIdle`", async () => {
    const { pool, connections } = createPool();
    const taken = [pool.take(), pool.take(), pool.take()];
    for (const connection of connections.slice(0, 2)) await connection.end();
    const connection = taken[2]?.connection;
    await connection?.answer();
    await Promise.resolve();
    if (connection) pool.give(connection);
    expect(connection?.isClosed()).toBe(true);
    expect(pool.take().isNew).toBe(false);
  });

  it("closes idle connections when it stops, and those given back later", async () => {
    const { pool, connections } = createPool();
    pool.fill();
    await connections[0]?.answer();
    const { connection } = pool.take();
    pool.stop();
    pool.give(connection);
    expect(connections.map((each) => each.isClosed())).toEqual([true, true]);
  });

  it("opens a connection for each preparation besides its warm ones, up to `maxIdle`", async () => {
    const { pool, connections } = createPool(3);
    const aborters = [1, 2, 3, 4].map(() => new AbortController());
    for (const { signal } of aborters) {
      void pool.prepare(signal).catch(() => undefined);
      void pool.prepare(signal).catch(() => undefined);
    }
    expect(connections).toHaveLength(3);
    for (const aborter of aborters) aborter.abort();
    expect(connections.map((connection) => connection.isClosed())).toEqual([false, false, true]);
  });

  it("leaves a prepared connection that was taken open when its signal fires", async () => {
    const { pool, connections } = createPool(3);
    const aborters = [1, 2, 3].map(() => new AbortController());
    for (const { signal } of aborters) void pool.prepare(signal).catch(() => undefined);
    await connections[2]?.answer();
    expect(pool.take()).toEqual({ connection: connections[2], isNew: false });
    for (const aborter of aborters) aborter.abort();
    expect(connections[2]?.isClosed()).toBe(false);
  });

  it("opens new warm connections for a preparation after an outage", async () => {
    const { pool, connections } = createPool();
    pool.fill();
    for (const connection of [...connections]) await connection.end();
    expect(connections).toHaveLength(2);
    const ready = pool.prepare(new AbortController().signal);
    expect(connections).toHaveLength(4);
    await connections[3]?.answer();
    await ready;
    expect(pool.take()).toEqual({ connection: connections[3], isNew: false });
  });
});
