import { describe, expect, it } from "vitest";
import { createInbox, type Source } from "./socket.ts";

const never = new AbortController().signal;

describe("createInbox", () => {
  it("hands messages over in order, those that wait and those that come", async () => {
    const inbox = createInbox<number>(createTap());
    inbox.put(1);
    inbox.put(2);
    expect([await inbox.take(never), await inbox.take(never)]).toEqual([1, 2]);
    const next = inbox.take(never);
    inbox.put(3);
    expect(await next).toBe(3);
  });

  it("stops its source while too much waits, and lets it go on when it was read", async () => {
    const tap = createTap();
    const inbox = createInbox<number>(tap);
    for (let at = 0; at < 100; at++) inbox.put(at);
    expect(tap.calls).toEqual(["pause"]);
    for (let at = 0; at < 100; at++) expect(await inbox.take(never)).toBe(at);
    expect(tap.calls).toEqual(["pause", "resume"]);
  });

  it("gives what came before a failure, and then the failure", async () => {
    const inbox = createInbox<string>(createTap());
    inbox.put("last");
    inbox.fail(new Error("over"));
    inbox.fail(new Error("again"));
    expect(await inbox.take(never)).toBe("last");
    await expect(inbox.take(never)).rejects.toThrow("over");
  });

  it("throws the signal's reason though messages wait", async () => {
    const inbox = createInbox<string>(createTap());
    inbox.put("late");
    await expect(inbox.take(AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
  });

  it("ends a wait as soon as the signal fires", async () => {
    const inbox = createInbox<string>(createTap());
    const controller = new AbortController();
    const next = inbox.take(controller.signal);
    controller.abort(new Error("stop"));
    await expect(next).rejects.toThrow("stop");
  });

  it("gives up when nothing comes in time", async () => {
    expect(await createInbox<string>(createTap()).take(never, 1)).toBeUndefined();
  });
});

function createTap(): Source & { readonly calls: string[] } {
  const calls: string[] = [];
  return { calls, pause: () => void calls.push("pause"), resume: () => void calls.push("resume") };
}
