import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Timeline } from "./timeline.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

function begin(): Timeline {
  return new Timeline(performance.now());
}

const source = {
  type: "source",
  kind: "speech",
  tier: "edge",
  from: "azure",
  reason: "server",
} as const;

describe("Timeline", () => {
  it("notes the first word, the first sound, hand-overs, gaps and the end, in the order of time", () => {
    const timeline = begin();
    vi.advanceTimersByTime(100);
    timeline.take({ type: "text", text: "One" });
    timeline.take({ type: "text", text: " two" });
    vi.advanceTimersByTime(200);
    timeline.buffering(true);
    timeline.buffering(true);
    vi.advanceTimersByTime(50);
    timeline.buffering(false);
    timeline.take(source);
    timeline.heardAt(performance.now() - 150);
    timeline.end();
    timeline.end("too late");
    expect(timeline.moments).toMatchObject([
      { kind: "words", atMs: 100 },
      { kind: "sound", atMs: 200 },
      { kind: "gap", atMs: 300, forMs: 50 },
      { kind: "handover", atMs: 350, source: { tier: "edge", from: "azure" } },
      { kind: "end", atMs: 350 },
    ]);
    expect(timeline.soundMs).toBe(200);
  });

  it("writes the events as they came, one a line, and sound by its length", () => {
    const timeline = begin();
    vi.advanceTimersByTime(10);
    timeline.take({ type: "begin", turnId: "t", sessionId: "s" });
    timeline.take({ type: "audio", pcm: new Int16Array(480), words: [] });
    timeline.end("The reply broke off.");
    expect(timeline.raw.split("\n").map((line) => JSON.parse(line))).toEqual([
      { atMs: 10, type: "begin", turnId: "t", sessionId: "s" },
      { atMs: 10, type: "audio", samples: 480 },
      { atMs: 10, type: "failure", message: "The reply broke off." },
    ]);
  });
});
