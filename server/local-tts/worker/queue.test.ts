import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { TurnCancelled } from "../../core/async.ts";
import { createQueue } from "./queue.ts";

const never = new AbortController().signal;
const settle = () => new Promise((resolve) => setImmediate(resolve));

type Place = number;

/** A queue before some places, numbered from 1. */
function create(places = 1) {
  const queue = createQueue<Place>();
  for (let place = 1; place <= places; place++) queue.open(place);
  const order: string[] = [];
  const leaves: (() => void)[] = [];
  const come = (name: string, neededAtMs: number, queueKey: unknown = Symbol(name)) =>
    queue.enter({ neededAtMs, queueKey }, never).then(({ leave }) => {
      order.push(name);
      leaves.push(leave);
    });
  /** The one that came in first of those who are in leaves. */
  const leave = async () => {
    leaves.shift()?.();
    await settle();
  };
  return { queue, order, come, leave };
}

const need = (neededAtMs: number) => ({ neededAtMs, queueKey: Symbol("a device") });

describe("createQueue", () => {
  it("lets one through at a time, the earliest need first and equals in order", async () => {
    const { queue, order, come, leave } = create();
    const nowMs = performance.now();
    void come("first come", nowMs + 50_000);
    void come("later", nowMs + 30_000);
    void come("soon", nowMs + 10_000);
    void come("soon too", nowMs + 10_000);
    void come("now", 0);
    await settle();
    for (let left = 0; left < 5; left++) await leave();
    expect(order).toEqual(["first come", "now", "soon", "soon too", "later"]);
    expect(queue.waiting()).toBe(0);
  });

  it("lets in who waited for the first place, and nobody into one that was closed", async () => {
    const { queue, order, come, leave } = create(0);
    void come("one", 0);
    void come("two", 0);
    await settle();
    expect(order).toEqual([]);
    queue.open(1);
    await settle();
    queue.close(1);
    await leave();
    expect(order).toEqual(["one"]);
    queue.open(2);
    await settle();
    expect(order).toEqual(["one", "two"]);
  });

  it("gives a device one place at most while another waits", async () => {
    const { order, come, leave } = create(2);
    void come("greedy 1", 0, "greedy");
    void come("greedy 2", 0, "greedy");
    void come("greedy 3", 0, "greedy");
    void come("other", 0, "other");
    void come("greedy 4", 0, "greedy");
    void come("other 2", 0, "other");
    await settle();
    expect(order).toEqual(["greedy 1", "greedy 2"]);
    await leave();
    expect(order.at(-1)).toBe("other");
    await leave();
    expect(order.at(-1)).toBe("greedy 3");
    await leave();
    expect(order.at(-1)).toBe("other 2");
    await leave();
    await leave();
    expect(order.at(-1)).toBe("greedy 4");
  });

  it("lets a new device in before a greedy one's many first clauses", async () => {
    const { order, come, leave } = create();
    for (let clause = 1; clause <= 10; clause++) void come(`greedy ${clause}`, 0, "greedy");
    await settle();
    void come("other", performance.now(), "other");
    await leave();
    expect(order).toEqual(["greedy 1", "other"]);
    for (let left = 0; left < 10; left++) await leave();
    expect(order).toHaveLength(11);
  });

  it("starves nobody for those who come anew", async () => {
    const { order, come, leave } = create();
    for (let clause = 1; clause <= 3; clause++) void come(`old ${clause}`, 0, "old");
    for (let device = 0; device < 9; device++) {
      void come(`new ${device}`, performance.now());
      await leave();
    }
    expect(order.filter((name) => name.startsWith("old"))).toHaveLength(3);
  });

  it("lets a cancelled one go at once, with the reason and without a listener", async () => {
    const { queue, order, come, leave } = create();
    const controller = new AbortController();
    void come("one", 0);
    const cancelled = queue.enter(need(1), controller.signal);
    void come("two", 2);
    expect(queue.waiting()).toBe(2);
    const reason = new TurnCancelled("interrupted");
    controller.abort(reason);
    expect(queue.waiting()).toBe(1);
    await expect(cancelled).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    await leave();
    expect(order).toEqual(["one", "two"]);
  });

  it("refuses who was cancelled before", async () => {
    const { queue, order, come } = create();
    const reason = new TurnCancelled("deadline");
    await expect(queue.enter(need(0), AbortSignal.abort(reason))).rejects.toBe(reason);
    await come("one", 0);
    expect(order).toEqual(["one"]);
  });

  it("leaves no listener on the signal of one that had its turn", async () => {
    const { queue, come, leave } = create();
    const controller = new AbortController();
    await come("one", 0);
    const second = queue.enter(need(0), controller.signal);
    await leave();
    await second;
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  it("fails all who wait", async () => {
    const { queue, come } = create();
    await come("one", 0);
    const waiting = queue.enter(need(0), never);
    queue.fail(new Error("no place"));
    await expect(waiting).rejects.toThrow("no place");
    expect(queue.waiting()).toBe(0);
  });
});
