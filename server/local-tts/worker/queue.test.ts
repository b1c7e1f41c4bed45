import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { TurnCancelled } from "../../core/async.ts";
import { createQueue } from "./queue.ts";

const never = new AbortController().signal;
const settle = () => new Promise((resolve) => setImmediate(resolve));

type Slot = number;

/** A queue for some slots, numbered from 1. */
function create(slots = 1) {
  const queue = createQueue<Slot>();
  for (let slot = 1; slot <= slots; slot++) queue.addSlot(slot);
  const order: string[] = [];
  const releases: (() => void)[] = [];
  const enter = (name: string, neededAtMs: number, queueKey: unknown = Symbol(name)) =>
    queue.acquire({ neededAtMs, queueKey }, never).then(({ release }) => {
      order.push(name);
      releases.push(release);
    });
  /** Releases the slot that was acquired first. */
  const release = async () => {
    releases.shift()?.();
    await settle();
  };
  return { queue, order, enter, release };
}

const priority = (neededAtMs: number) => ({ neededAtMs, queueKey: Symbol("a device") });

describe("createQueue", () => {
  it("serves one at a time, the earliest need first and equals in order", async () => {
    const { queue, order, enter, release } = create();
    const nowMs = performance.now();
    void enter("first come", nowMs + 50_000);
    void enter("later", nowMs + 30_000);
    void enter("soon", nowMs + 10_000);
    void enter("soon too", nowMs + 10_000);
    void enter("now", 0);
    await settle();
    for (let left = 0; left < 5; left++) await release();
    expect(order).toEqual(["first come", "now", "soon", "soon too", "later"]);
    expect(queue.waiting()).toBe(0);
  });

  it("serves a waiting entry with a new slot, and none with a removed slot", async () => {
    const { queue, order, enter, release } = create(0);
    void enter("one", 0);
    void enter("two", 0);
    await settle();
    expect(order).toEqual([]);
    queue.addSlot(1);
    await settle();
    queue.removeSlot(1);
    await release();
    expect(order).toEqual(["one"]);
    queue.addSlot(2);
    await settle();
    expect(order).toEqual(["one", "two"]);
  });

  it("gives a device at most one slot while another waits", async () => {
    const { order, enter, release } = create(2);
    void enter("greedy 1", 0, "greedy");
    void enter("greedy 2", 0, "greedy");
    void enter("greedy 3", 0, "greedy");
    void enter("other", 0, "other");
    void enter("greedy 4", 0, "greedy");
    void enter("other 2", 0, "other");
    await settle();
    expect(order).toEqual(["greedy 1", "greedy 2"]);
    await release();
    expect(order.at(-1)).toBe("other");
    await release();
    expect(order.at(-1)).toBe("greedy 3");
    await release();
    expect(order.at(-1)).toBe("other 2");
    await release();
    await release();
    expect(order.at(-1)).toBe("greedy 4");
  });

  it("serves a new device before a greedy one's many first clauses", async () => {
    const { order, enter, release } = create();
    for (let clause = 1; clause <= 10; clause++) void enter(`greedy ${clause}`, 0, "greedy");
    await settle();
    void enter("other", performance.now(), "other");
    await release();
    expect(order).toEqual(["greedy 1", "other"]);
    for (let left = 0; left < 10; left++) await release();
    expect(order).toHaveLength(11);
  });

  it("starves no device in favour of new ones", async () => {
    const { order, enter, release } = create();
    for (let clause = 1; clause <= 3; clause++) void enter(`old ${clause}`, 0, "old");
    for (let device = 0; device < 9; device++) {
      void enter(`new ${device}`, performance.now());
      await release();
    }
    expect(order.filter((name) => name.startsWith("old"))).toHaveLength(3);
  });

  it("rejects a cancelled entry at once, with the reason and without a listener", async () => {
    const { queue, order, enter, release } = create();
    const controller = new AbortController();
    void enter("one", 0);
    const cancelled = queue.acquire(priority(1), controller.signal);
    void enter("two", 2);
    expect(queue.waiting()).toBe(2);
    const reason = new TurnCancelled("interrupted");
    controller.abort(reason);
    expect(queue.waiting()).toBe(1);
    await expect(cancelled).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    await release();
    expect(order).toEqual(["one", "two"]);
  });

  it("rejects an entry whose signal has fired before", async () => {
    const { queue, order, enter } = create();
    const reason = new TurnCancelled("deadline");
    await expect(queue.acquire(priority(0), AbortSignal.abort(reason))).rejects.toBe(reason);
    await enter("one", 0);
    expect(order).toEqual(["one"]);
  });

  it("leaves no listener on the signal of a served entry", async () => {
    const { queue, enter, release } = create();
    const controller = new AbortController();
    await enter("one", 0);
    const second = queue.acquire(priority(0), controller.signal);
    await release();
    await second;
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  it("rejects all waiting entries", async () => {
    const { queue, enter } = create();
    await enter("one", 0);
    const waiting = queue.acquire(priority(0), never);
    queue.rejectAll(new Error("no slot"));
    await expect(waiting).rejects.toThrow("no slot");
    expect(queue.waiting()).toBe(0);
  });
});
