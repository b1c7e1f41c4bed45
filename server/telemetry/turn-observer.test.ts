import { describe, expect, it } from "vitest";
import { createActivity } from "./activity.ts";
import { createInterruptLog } from "./interrupts.ts";
import { createLogger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import { createTurnObservers } from "./turn-observer.ts";

const call = { tier: "azure", kind: "speech" } as const;
const ended = (audioSeconds: number) => ({
  isCancelled: false,
  durationMs: 1,
  characters: 10,
  audioSeconds,
});

function setUp() {
  const lines: Record<string, unknown>[] = [];
  const output = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const logger = createLogger("debug", { output });
  const gauges = { version: "1", activeTurns: 0, isReady: true, providers: [], usage: [] };
  const metrics = createMetrics(() => ({ ...gauges, queues: {} }));
  const interrupts = createInterruptLog(logger);
  const activity = createActivity({ logger, turnLogger: logger, logTurns: true });
  const parts = { activity, metrics, tracing: undefined, interrupts, logger };
  const observe = createTurnObservers(parts);
  const read = async (series: string) => {
    const { text } = await metrics.render();
    const line = text.split("\n").find((each) => each.startsWith(`${series} `));
    return Number(line?.slice(series.length));
  };
  const unheard = () => read("parley_audio_unheard_seconds_total");
  return { turn: observe({ turnId: "t", sessionId: "s" }), interrupts, lines, unheard, read };
}

const report = (outcome: "done" | "interrupted") => ({ sessionId: "s", outcome, durationMs: 5 });

describe("createTurnObservers", () => {
  it("counts nothing as unheard of a turn that is heard in full", async () => {
    const { turn, unheard } = setUp();
    turn.tiers.onCall(call).end(ended(2));
    turn.onEnd(report("done"), { sentSeconds: 2, heardSeconds: 2 });
    expect(await unheard()).toBe(0);
  });

  it("counts what was made and neither sent nor heard, calls that end after the turn included", async () => {
    const { turn, unheard } = setUp();
    turn.tiers.onCall(call).end(ended(4));
    const running = turn.tiers.onCall(call);
    turn.onEnd(report("interrupted"), { sentSeconds: 3, heardSeconds: 1 });
    expect(await unheard()).toBe(0);
    running.end(ended(2));
    expect(await unheard()).toBe(5);
    turn.tiers.onCall(call).end(ended(0.5));
    expect(await unheard()).toBe(5.5);
  });

  it("counts what a turn still played when it was cut after it was sent", async () => {
    const { turn, unheard, read } = setUp();
    turn.tiers.onCall(call).end(ended(4));
    turn.onEnd(report("done"), { sentSeconds: 4, heardSeconds: 4 });
    turn.onCutAfterSent(3);
    expect(await unheard()).toBe(3);
    expect(await read('parley_interrupts_total{reason="interrupted",sent="true"}')).toBe(1);
  });

  it("measures the time to silence of a turn that was cut, and of no other", async () => {
    const { turn, read } = setUp();
    turn.onEnd(report("interrupted"), { sentSeconds: 0, heardSeconds: 0 });
    turn.onSilent();
    const done = setUp();
    done.turn.onEnd(report("done"), { sentSeconds: 0, heardSeconds: 0 });
    done.turn.onSilent();
    const series = 'parley_time_to_silence_seconds_count{reason="interrupted"}';
    expect([await read(series), await done.read(series)]).toEqual([1, Number.NaN]);
  });

  it("logs an interrupt once all of its turns are silent, with the longest time", () => {
    const { turn, interrupts, lines } = setUp();
    const found = { deviceId: "d", tokenId: "k3", sessionId: "s", sentTurns: 0 };
    interrupts.onInterrupt({ ...found, turnIds: ["t", "u"], atMs: performance.now() - 50 });
    const logged = () => lines.filter(({ msg }) => msg === "interrupt");
    turn.onEnd(report("interrupted"), { sentSeconds: 0, heardSeconds: 0 });
    turn.onSilent();
    expect(logged()).toEqual([]);
    interrupts.onSilent("u");
    expect(logged()).toEqual([
      expect.objectContaining({ level: 40, turnId: "u", turns: 2, caller: "token k3" }),
    ]);
    expect(logged()[0]?.["timeToSilenceMs"]).toBeGreaterThanOrEqual(50);
  });
});
