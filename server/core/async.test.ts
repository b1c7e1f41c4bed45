import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createChannel, readAhead } from "./async.ts";

const live = () => new AbortController().signal;

describe("createChannel", () => {
  it("hands over every item in order, whatever the capacity", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer()),
        fc.integer({ min: 1, max: 5 }),
        async (items, capacity) => {
          const channel = createChannel<number>(capacity, live());
          const writing = (async () => {
            for (const item of items) await channel.push(item);
            channel.close();
          })();
          expect(await Array.fromAsync(channel)).toEqual(items);
          await writing;
        },
      ),
    );
  });

  it("hands over falsy and undefined items", async () => {
    const channel = createChannel<unknown>(4, live());
    for (const item of [undefined, 0, "", null]) await channel.push(item);
    channel.close();
    expect(await Array.fromAsync(channel)).toEqual([undefined, 0, "", null]);
  });

  it("holds the writer while it is full", async () => {
    const channel = createChannel<number>(1, live());
    await channel.push(1);
    let second = false;
    const pushing = Promise.resolve(channel.push(2)).then(() => {
      second = true;
    });
    await turn();
    expect(second).toBe(false);
    const reader = channel[Symbol.asyncIterator]();
    await reader.next();
    await pushing;
    expect(second).toBe(true);
  });

  it("gives what was queued before the error it was closed with", async () => {
    const channel = createChannel<number>(2, live());
    await channel.push(1);
    channel.close(new Error("boom"));
    const reader = channel[Symbol.asyncIterator]();
    expect((await reader.next()).value).toBe(1);
    await expect(reader.next()).rejects.toThrow("boom");
  });

  it("throws the signal's reason at once, leaving what is queued", async () => {
    const aborter = new AbortController();
    const channel = createChannel<number>(2, aborter.signal);
    await channel.push(1);
    aborter.abort(new Error("stop"));
    await expect(channel[Symbol.asyncIterator]().next()).rejects.toThrow("stop");
  });

  it("lets a waiting writer go when the signal fires or the reader leaves", async () => {
    const aborter = new AbortController();
    const aborted = createChannel<number>(1, aborter.signal);
    await aborted.push(1);
    const waiting = aborted.push(2);
    aborter.abort();
    expect(await waiting).toBe(false);

    const left = createChannel<number>(1, live());
    await left.push(1);
    const parked = left.push(2);
    await left[Symbol.asyncIterator]().return?.();
    expect(await parked).toBe(false);
    expect(await left.push(3)).toBe(false);
  });

  it("takes items by their size, and hands out batches of a bounded size, never none", async () => {
    const channel = createChannel<number>(10, live(), (item) => item);
    const writing = channel.pushAll([4, 4, 4, 30, 1]);
    const reader = channel.batches(9)[Symbol.asyncIterator]();
    expect((await reader.next()).value).toEqual([4, 4]);
    await turn();
    expect((await reader.next()).value).toEqual([4]);
    expect((await reader.next()).value).toEqual([30]);
    expect((await reader.next()).value).toEqual([1]);
    expect(await writing).toBe(true);
  });
});

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
