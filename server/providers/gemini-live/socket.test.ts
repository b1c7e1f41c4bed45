import { describe, expect, it } from "vitest";
import { createMessageQueue } from "./socket.ts";

const never = new AbortController().signal;

describe("createMessageQueue", () => {
  it("delivers messages in order, queued ones and new ones", async () => {
    const queue = createMessageQueue<number>(createSocket());
    queue.push(1);
    queue.push(2);
    expect([await queue.next(never), await queue.next(never)]).toEqual([1, 2]);
    const next = queue.next(never);
    queue.push(3);
    expect(await next).toBe(3);
  });

  it("pauses its socket while too much is queued, and resumes it when that was read", async () => {
    const socket = createSocket();
    const queue = createMessageQueue<number>(socket);
    for (let at = 0; at < 100; at++) queue.push(at);
    expect(socket.calls).toEqual(["pause"]);
    for (let at = 0; at < 100; at++) expect(await queue.next(never)).toBe(at);
    expect(socket.calls).toEqual(["pause", "resume"]);
  });

  it("delivers what came before a failure, then the failure", async () => {
    const queue = createMessageQueue<string>(createSocket());
    queue.push("last");
    queue.fail(new Error("over"));
    queue.fail(new Error("again"));
    expect(await queue.next(never)).toBe("last");
    await expect(queue.next(never)).rejects.toThrow("over");
  });

  it("throws the signal's reason though messages are queued", async () => {
    const queue = createMessageQueue<string>(createSocket());
    queue.push("late");
    await expect(queue.next(AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
  });

  it("ends a wait as soon as the signal fires", async () => {
    const queue = createMessageQueue<string>(createSocket());
    const controller = new AbortController();
    const next = queue.next(controller.signal);
    controller.abort(new Error("stop"));
    await expect(next).rejects.toThrow("stop");
  });

  it("returns undefined when nothing comes in time", async () => {
    expect(await createMessageQueue<string>(createSocket()).next(never, 1)).toBeUndefined();
  });
});

function createSocket() {
  const calls: string[] = [];
  return { calls, pause: () => void calls.push("pause"), resume: () => void calls.push("resume") };
}
