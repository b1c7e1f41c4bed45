import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Screenshot } from "../models/language-model.ts";
import { createCollectedPrompts } from "./collected-prompts.ts";
import type { PromptPiece } from "./turn-request.ts";

const KIB = 1024;
const session = (deviceId: string, sessionId = "s") => ({ deviceId, sessionId });

function piece(fields: Partial<PromptPiece> = {}): PromptPiece {
  return { ...session("a"), seq: 1, text: "", screenshotBytes: 0, ...fields };
}

/** A picture of so many bytes; only its identity matters here. */
function picture(screenshotBytes: number) {
  return { screenshot: { width: 1, height: 1 } as Screenshot, screenshotBytes };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("createCollectedPrompts", () => {
  it("merges snapshots and deltas of one session of one device, and of no other", () => {
    const prompts = createCollectedPrompts();
    prompts.add(piece({ text: "can" }));
    prompts.add(piece({ seq: 2, text: "can you" }));
    prompts.add(piece({ seq: 3, text: "you help" }));
    prompts.add(piece({ deviceId: "b", text: "other device" }));
    prompts.add(piece({ sessionId: "t", text: "other session" }));
    expect(prompts.find(session("a"))).toEqual({ text: "can you help" });
    expect(prompts.find(session("b"))).toEqual({ text: "other device" });
    expect(prompts.find(session("a", "t"))).toEqual({ text: "other session" });
    expect(prompts.find(session("b", "t"))).toBeUndefined();
  });

  it("ignores a piece whose number is not above the last one kept, picture and all", () => {
    const prompts = createCollectedPrompts();
    prompts.add(piece({ seq: 0, text: "one" }));
    prompts.add(piece({ seq: 5, text: " two" }));
    for (const seq of [5, 4, 0]) prompts.add(piece({ seq, text: " three", ...picture(10) }));
    expect(prompts.find(session("a"))).toEqual({ text: "one two" });
  });

  it("keeps the picture and each side of the screen of the last piece that had one", () => {
    const prompts = createCollectedPrompts();
    const [first, last] = [picture(10), picture(20)];
    prompts.add(piece({ seq: 1, ...first, screenWidth: 800, screenHeight: 600 }));
    prompts.add(piece({ seq: 2, ...last }));
    prompts.add(piece({ seq: 3, text: "hi", screenWidth: 1024 }));
    const kept = prompts.find(session("a"));
    expect(kept).toEqual({
      text: "hi",
      screenshot: last.screenshot,
      screenWidth: 1024,
      screenHeight: 600,
    });
    expect(kept?.screenshot).toBe(last.screenshot);
    // The first picture is not counted any more.
    expect(prompts.bytes()).toBe(KIB + 20 + 2);
  });

  it("forgets only what was found, so that a piece that came since is not lost", () => {
    const prompts = createCollectedPrompts();
    prompts.add(piece({ text: "one" }));
    const found = prompts.find(session("a"));
    if (!found) throw new Error("nothing was kept");
    prompts.add(piece({ seq: 2, text: " two" }));
    prompts.remove(session("a"), found);
    expect(prompts.find(session("a"))).toEqual({ text: "one two" });
    prompts.remove(session("a"), prompts.find(session("a")) ?? found);
    expect([prompts.find(session("a")), prompts.bytes()]).toEqual([undefined, 0]);
  });

  it("keeps a prompt for 2 minutes after its last piece, and then frees it without a call", () => {
    const prompts = createCollectedPrompts();
    prompts.add(piece({ text: "one", ...picture(1000) }));
    vi.advanceTimersByTime(60_000);
    prompts.add(piece({ deviceId: "b", text: "later" }));
    prompts.add(piece({ seq: 1, text: "ignored" }));
    vi.advanceTimersByTime(59_999);
    expect(prompts.find(session("a"))?.text).toBe("one");
    vi.advanceTimersByTime(1);
    expect(prompts.bytes()).toBe(KIB + "later".length);
    expect(prompts.find(session("a"))).toBeUndefined();
    vi.advanceTimersByTime(60_000);
    expect([prompts.bytes(), vi.getTimerCount()]).toEqual([0, 0]);
  });

  it("takes the injected clock's word for what is over", () => {
    let nowMs = 0;
    const prompts = createCollectedPrompts({ lifeMs: 10, now: () => nowMs });
    prompts.add(piece({ text: "one" }));
    nowMs = 10;
    expect(prompts.find(session("a"))).toBeUndefined();
  });

  it("refuses text beyond 64 KiB in all, and keeps what it had", () => {
    const prompts = createCollectedPrompts();
    const most = "é".repeat(32 * KIB);
    prompts.add(piece({ text: most }));
    expect(() => prompts.add(piece({ seq: 2, text: "!" }))).toThrow(
      "chunk_text must be at most 65536 bytes of UTF-8 together with what was collected before",
    );
    expect(prompts.find(session("a"))).toEqual({ text: most });
    prompts.add(piece({ seq: 2 }));
  });

  it("drops the oldest other session of a device that needs more than its share", () => {
    const prompts = createCollectedPrompts({ maxDeviceBytes: 10 * KIB });
    prompts.add(piece({ deviceId: "b", text: "b", ...picture(8 * KIB) }));
    prompts.add(piece({ sessionId: "1", text: "1", ...picture(4 * KIB) }));
    prompts.add(piece({ sessionId: "2", text: "2" }));
    prompts.add(piece({ sessionId: "3", text: "3", ...picture(4 * KIB) }));
    const kept = ["1", "2", "3"].map((id) => prompts.find(session("a", id))?.text);
    expect(kept).toEqual([undefined, "2", "3"]);
    expect(prompts.find(session("b"))?.text).toBe("b");
  });

  it("refuses a piece for which only another device's would make room", () => {
    const prompts = createCollectedPrompts({ maxBytes: 10 * KIB });
    prompts.add(piece({ deviceId: "b", text: "b", ...picture(5 * KIB) }));
    prompts.add(piece({ sessionId: "1", text: "1" }));
    const large = piece({ sessionId: "2", text: "2", ...picture(4 * KIB) });
    expect(() => prompts.add(large)).toThrow(
      "no room for collected prompts; send the whole prompt with the commit",
    );
    expect(prompts.find(session("a", "1"))?.text).toBe("1");
    expect(prompts.find(session("b"))?.text).toBe("b");
    // Its own older session does make room.
    prompts.add({ ...large, ...picture(2.5 * KIB) });
    expect(prompts.find(session("a", "1"))).toBeUndefined();
    expect(prompts.bytes()).toBeLessThanOrEqual(10 * KIB);
  });

  it("counts pieces without any words, so that they are bounded too", () => {
    const prompts = createCollectedPrompts({ maxBytes: 10 * KIB });
    const flood = () => {
      for (let at = 0; at < 100; at++) prompts.add(piece({ deviceId: `d${at}` }));
    };
    expect(flood).toThrow("no room for collected prompts");
    expect(prompts.bytes()).toBe(10 * KIB);
  });

  it("drops all of one device's sessions, and no other's", () => {
    const prompts = createCollectedPrompts();
    for (const sessionId of ["1", "2"]) prompts.add(piece({ sessionId, text: "x" }));
    prompts.add(piece({ deviceId: "b", text: "b" }));
    prompts.dropDevice("a");
    expect([prompts.find(session("a", "1")), prompts.find(session("a", "2"))]).toEqual([
      undefined,
      undefined,
    ]);
    expect(prompts.find(session("b"))?.text).toBe("b");
  });

  it("forgets all when it is stopped, and refuses what comes then", () => {
    const prompts = createCollectedPrompts();
    prompts.add(piece({ text: "x" }));
    prompts.stop();
    expect([prompts.bytes(), vi.getTimerCount()]).toEqual([0, 0]);
    expect(() => prompts.add(piece({ seq: 2 }))).toThrow("the gateway is stopping");
  });
});
