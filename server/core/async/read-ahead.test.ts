import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { readAhead } from "./read-ahead.ts";

async function* counting(upTo: number, log: { pulled: number; returned: boolean }) {
  try {
    for (let i = 0; i < upTo; i++) {
      log.pulled = i + 1;
      yield i;
    }
  } finally {
    log.returned = true;
  }
}

describe("readAhead", () => {
  it("pulls before it is read, and no further than its capacity and the item in hand", async () => {
    const log = { pulled: 0, returned: false };
    const items = readAhead(counting(10, log), 2, new AbortController().signal);
    await turn();
    expect(log.pulled).toBe(3);
    expect(await Array.fromAsync(items)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("returns the source when the reader leaves", async () => {
    const log = { pulled: 0, returned: false };
    for await (const _ of readAhead(counting(10, log), 1, new AbortController().signal)) break;
    await turn();
    expect(log.returned).toBe(true);
  });

  it("returns the source when the signal fires, though nobody reads", async () => {
    const aborter = new AbortController();
    const log = { pulled: 0, returned: false };
    readAhead(counting(10, log), 1, aborter.signal);
    await turn();
    aborter.abort();
    await turn();
    expect(log.returned).toBe(true);
  });

  it("passes the source's error on, after the items that came before it", async () => {
    async function* failing() {
      yield 1;
      throw new Error("boom");
    }
    const reader = readAhead(failing(), 3, new AbortController().signal)[Symbol.asyncIterator]();
    expect((await reader.next()).value).toBe(1);
    await expect(reader.next()).rejects.toThrow("boom");
  });
});
