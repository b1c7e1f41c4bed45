import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createMessageQueue } from "./synthesizer.ts";

const message = (id: number) => ({ id });

/** A queue, and what was read from it. */
function open() {
  const queue = createMessageQueue<{ id: number }>();
  const received: number[] = [];
  const read = () => queue.read().then(({ id }) => received.push(id));
  const push = (...ids: number[]) => {
    for (const id of ids) queue.push(message(id));
  };
  return { queue, received, read, push };
}

/** True if it has resolved after all pending microtasks. */
async function hasResolved(promise: Promise<unknown>): Promise<boolean> {
  let has = false;
  promise.then(() => {
    has = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  return has;
}

describe("createMessageQueue", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("delivers messages in order, whether the message or the read came first", async () => {
    const { received, read, push } = open();
    push(1, 2);
    await read();
    await read();
    const third = read();
    push(3);
    await third;
    expect(received).toEqual([1, 2, 3]);
  });

  it("delivers the next message to the last read", async () => {
    const { queue, push } = open();
    const first = queue.read();
    const second = queue.read();
    push(1);
    expect(await second).toEqual(message(1));
    expect(await hasResolved(first)).toBe(false);
  });

  it("is over at once if it ends during a read", async () => {
    const { queue, read } = open();
    read();
    await queue.end();
    expect(queue.isOver()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is over when more is read than was pushed", async () => {
    const { queue, received, read, push } = open();
    read();
    push(1, 2, 3);
    const end = queue.end();
    await read();
    await read();
    expect(queue.isOver()).toBe(false);
    read();
    await end;
    expect(received).toEqual([1, 2, 3]);
    expect(queue.isOver()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits while the reader processes the last message", async () => {
    const { queue, read, push } = open();
    push(1);
    await read();
    expect(await hasResolved(queue.end())).toBe(false);
  });

  it("is over after a quarter of a second without a read", async () => {
    const { queue, read, push } = open();
    push(1);
    const end = queue.end();
    await vi.advanceTimersByTimeAsync(249);
    expect(queue.isOver()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await end;
    expect(await hasResolved(read())).toBe(false);
  });

  it("delivers nothing once it is discarded, and leaves no timer", async () => {
    const { queue, received, read, push } = open();
    push(1);
    const end = queue.end();
    queue.discard();
    await end;
    push(2);
    expect(await hasResolved(read())).toBe(false);
    await queue.end();
    expect(received).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
