import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createChannel } from "./channel.ts";

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
    const pushing = channel.push(2).then(() => {
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
});
