import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createAzureInbox } from "./synthesizer.ts";

const message = (id: number) => ({ id });

/** An inbox, and what its taker got. */
function createInbox() {
  const inbox = createAzureInbox<{ id: number }>();
  const taken: number[] = [];
  const take = () => inbox.take().then(({ id }) => taken.push(id));
  const put = (...ids: number[]) => {
    for (const id of ids) inbox.put(message(id));
  };
  return { inbox, taken, take, put };
}

/** Whether it has resolved, when everything that waits for nothing else has run. */
async function hasResolved(promise: Promise<unknown>): Promise<boolean> {
  let has = false;
  promise.then(() => {
    has = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  return has;
}

describe("createAzureInbox", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("hands messages over in order, whether they or their taker came first", async () => {
    const { taken, take, put } = createInbox();
    put(1, 2);
    await take();
    await take();
    const third = take();
    put(3);
    await third;
    expect(taken).toEqual([1, 2, 3]);
  });

  it("gives the next message to the last who asked", async () => {
    const { inbox, put } = createInbox();
    const first = inbox.take();
    const second = inbox.take();
    put(1);
    expect(await second).toEqual(message(1));
    expect(await hasResolved(first)).toBe(false);
  });

  it("is over at once if its end comes while a message is waited for", async () => {
    const { inbox, take } = createInbox();
    take();
    await inbox.end();
    expect(inbox.isOver()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is over when more is asked for than came before its end", async () => {
    const { inbox, taken, take, put } = createInbox();
    take();
    put(1, 2, 3);
    const end = inbox.end();
    await take();
    await take();
    expect(inbox.isOver()).toBe(false);
    take();
    await end;
    expect(taken).toEqual([1, 2, 3]);
    expect(inbox.isOver()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits while its taker has the last message in hand", async () => {
    const { inbox, take, put } = createInbox();
    put(1);
    await take();
    expect(await hasResolved(inbox.end())).toBe(false);
  });

  it("is over after a quarter of a second if nobody asks", async () => {
    const { inbox, take, put } = createInbox();
    put(1);
    const end = inbox.end();
    await vi.advanceTimersByTimeAsync(249);
    expect(inbox.isOver()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await end;
    expect(await hasResolved(take())).toBe(false);
  });

  it("delivers nothing once it is dropped, and leaves no timer", async () => {
    const { inbox, taken, take, put } = createInbox();
    put(1);
    const end = inbox.end();
    inbox.drop();
    await end;
    put(2);
    expect(await hasResolved(take())).toBe(false);
    await inbox.end();
    expect(taken).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
