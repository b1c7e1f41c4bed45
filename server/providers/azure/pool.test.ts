import { describe, expect, it } from "vitest";
import { createAzurePool } from "./pool.ts";

/** A line that opens and ends when it is told to. */
function createLine() {
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

function createPool(mostIdle = 2) {
  const lines: ReturnType<typeof createLine>[] = [];
  const clock = { nowMs: 0 };
  const open = () => {
    const line = createLine();
    lines.push(line);
    return line;
  };
  const pool = createAzurePool({ open, spares: 2, mostIdle, nowMs: () => clock.nowMs });
  return { pool, lines, clock };
}

describe("createAzurePool", () => {
  it("connects its spares when it is filled, once", () => {
    const { pool, lines } = createPool();
    pool.fill();
    pool.fill();
    expect(lines).toHaveLength(2);
  });

  it("lends a spare that is open rather than one that is not, and opens another", async () => {
    const { pool, lines } = createPool();
    pool.fill();
    await lines[1]?.answer();
    expect(pool.take()).toEqual({ line: lines[1], isNew: false });
    await Promise.resolve();
    expect(lines).toHaveLength(3);
  });

  it("opens no spares while the service does not answer", async () => {
    const { pool, lines } = createPool();
    expect(pool.take().isNew).toBe(true);
    await Promise.resolve();
    expect(lines).toHaveLength(1);
  });

  it("forgets a spare that ends, and replaces it only if it had lasted", async () => {
    const { pool, lines, clock } = createPool();
    pool.fill();
    await lines[0]?.end();
    expect(lines).toHaveLength(2);
    clock.nowMs = 60_000;
    await lines[1]?.end();
    expect(lines).toHaveLength(4);
  });

  it("keeps what is given back while there is room", async () => {
    const { pool, lines } = createPool();
    const taken = [pool.take(), pool.take(), pool.take()];
    for (const line of lines.slice(0, 2)) await line.end();
    const line = taken[2]?.line;
    await line?.answer();
    await Promise.resolve();
    if (line) pool.give(line);
    expect(line?.isClosed()).toBe(true);
    expect(pool.take().isNew).toBe(false);
  });

  it("closes what is idle when it stops, and what comes back later", async () => {
    const { pool, lines } = createPool();
    pool.fill();
    await lines[0]?.answer();
    const { line } = pool.take();
    pool.stop();
    pool.give(line);
    expect(lines.map((each) => each.isClosed())).toEqual([true, true]);
  });

  it("has a line ready for each preparation beside its spares, up to what it keeps", async () => {
    const { pool, lines } = createPool(3);
    const aborters = [1, 2, 3, 4].map(() => new AbortController());
    for (const { signal } of aborters) {
      void pool.prepare(signal).catch(() => undefined);
      void pool.prepare(signal).catch(() => undefined);
    }
    expect(lines).toHaveLength(3);
    for (const aborter of aborters) aborter.abort();
    expect(lines.map((line) => line.isClosed())).toEqual([false, false, true]);
  });

  it("leaves a prepared line to whoever took it, when its signal fires", async () => {
    const { pool, lines } = createPool(3);
    const aborters = [1, 2, 3].map(() => new AbortController());
    for (const { signal } of aborters) void pool.prepare(signal).catch(() => undefined);
    await lines[2]?.answer();
    expect(pool.take()).toEqual({ line: lines[2], isNew: false });
    for (const aborter of aborters) aborter.abort();
    expect(lines[2]?.isClosed()).toBe(false);
  });

  it("opens spares anew for a preparation after an outage", async () => {
    const { pool, lines } = createPool();
    pool.fill();
    for (const line of [...lines]) await line.end();
    expect(lines).toHaveLength(2);
    const ready = pool.prepare(new AbortController().signal);
    expect(lines).toHaveLength(4);
    await lines[3]?.answer();
    await ready;
    expect(pool.take()).toEqual({ line: lines[3], isNew: false });
  });
});
