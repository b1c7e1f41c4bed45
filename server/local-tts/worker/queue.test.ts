import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { TurnCancelled } from "../../core/async/abort.ts";
import { createQueue } from "./queue.ts";

const never = new AbortController().signal;
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("createQueue", () => {
  it("lets one through at a time, the earliest need first and equals in order", async () => {
    const queue = createQueue();
    const order: string[] = [];
    const pass = async (name: string, neededAtMs: number) => {
      const leave = await queue.enter(neededAtMs, never);
      order.push(name);
      await settle();
      leave();
    };
    await Promise.all([
      pass("first come", 50),
      pass("later", 30),
      pass("soon", 10),
      pass("soon too", 10),
      pass("now", 0),
    ]);
    expect(order).toEqual(["first come", "now", "soon", "soon too", "later"]);
    expect(queue.waiting()).toBe(0);
  });

  it("lets the next one in after the last has left", async () => {
    const queue = createQueue();
    (await queue.enter(0, never))();
    (await queue.enter(0, never))();
    expect(queue.waiting()).toBe(0);
  });

  it("lets a cancelled one go at once, with the reason and without a listener", async () => {
    const queue = createQueue();
    const controller = new AbortController();
    const leave = await queue.enter(0, never);
    const cancelled = queue.enter(1, controller.signal);
    const next = queue.enter(2, never);
    expect(queue.waiting()).toBe(2);
    const reason = new TurnCancelled("interrupted");
    controller.abort(reason);
    expect(queue.waiting()).toBe(1);
    await expect(cancelled).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    leave();
    (await next)();
  });

  it("refuses who was cancelled before", async () => {
    const queue = createQueue();
    const reason = new TurnCancelled("deadline");
    await expect(queue.enter(0, AbortSignal.abort(reason))).rejects.toBe(reason);
    (await queue.enter(0, never))();
  });

  it("leaves no listener on the signal of one that had its turn", async () => {
    const queue = createQueue();
    const controller = new AbortController();
    const leave = await queue.enter(0, never);
    const second = queue.enter(0, controller.signal);
    leave();
    (await second)();
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });
});
