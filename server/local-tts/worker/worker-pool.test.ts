import { getEventListeners } from "node:events";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { TurnCancelled } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart } from "../../models/synthesizer.ts";
import { type WorkerClient, WorkerLost } from "./worker-client.ts";
import type { Clause } from "./worker-main.ts";
import { createWorkerPool, type WorkerPoolOptions } from "./worker-pool.ts";

const never = new AbortController().signal;
const settle = () => new Promise((resolve) => setImmediate(resolve));
const clause = (text: string): Clause => ({ text, pauseMs: 0 });
const part: SpeechPart = { pcm: Int16Array.of(1), sampleRateHz: 1 };
const options = {
  provider: "local",
  program: new URL("file:///none"),
  readyTimeoutMs: 1,
  speakTimeoutMs: 1,
};
const ended = () => new WorkerLost("local", "server", "the worker exited");

/** Needed at this time, for a device of its own unless one is named. */
const at = (neededAtMs: number, queueKey: unknown = Symbol("a device")) => ({
  neededAtMs,
  queueKey,
});

/** A pool of workers that a test answers by hand. */
function create(ready: Promise<void> = Promise.resolve(), more: Partial<WorkerPoolOptions> = {}) {
  const texts: string[] = [];
  const runs: PromiseWithResolvers<SpeechPart>[] = [];
  const ends: (() => void)[] = [];
  const open = (): WorkerClient => {
    const end = Promise.withResolvers<void>();
    ends.push(end.resolve);
    return {
      ready,
      ended: end.promise,
      speak(request) {
        texts.push(request.text);
        const run = Promise.withResolvers<SpeechPart>();
        runs.push(run);
        return run.promise;
      },
      async close() {
        for (const run of runs) run.reject(ended());
        end.resolve();
      },
    };
  };
  const answer = async (run: number) => {
    runs[run]?.resolve(part);
    await settle();
  };
  return {
    workerPool: createWorkerPool({ ...options, ...more }, open),
    texts,
    runs,
    ends,
    answer,
  };
}

describe("createWorkerPool", () => {
  it("speaks a first clause before the later clauses of others", async () => {
    const { workerPool, texts, answer } = create();
    const spoken = [
      workerPool.speak(clause("being spoken"), at(0), never),
      workerPool.speak(clause("needed in five seconds"), at(performance.now() + 5_000), never),
      workerPool.speak(clause("needed in two"), at(performance.now() + 2_000), never),
      workerPool.speak(clause("needed now"), at(performance.now()), never),
    ];
    await settle();
    expect(texts).toEqual(["being spoken"]);
    expect(workerPool.pendingCalls()).toBe(4);
    for (let run = 0; run < 4; run++) await answer(run);
    expect(texts.slice(1)).toEqual(["needed now", "needed in two", "needed in five seconds"]);
    expect(await Promise.all(spoken)).toEqual([part, part, part, part]);
    expect(workerPool.pendingCalls()).toBe(0);
  });

  it("rejects a cancelled call at once, and continues when its run has ended", async () => {
    const { workerPool, texts, answer } = create();
    const controller = new AbortController();
    const cancelled = workerPool.speak(clause("one"), at(0), controller.signal);
    const next = workerPool.speak(clause("two"), at(0), never);
    await settle();
    const reason = new TurnCancelled("interrupted");
    controller.abort(reason);
    await expect(cancelled).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    expect(texts).toEqual(["one"]);
    await answer(0);
    expect(texts).toEqual(["one", "two"]);
    await answer(1);
    expect(await next).toEqual(part);
  });

  it("never speaks a clause that was cancelled in the queue", async () => {
    const { workerPool, texts, answer } = create();
    const controller = new AbortController();
    const first = workerPool.speak(clause("one"), at(0), never);
    const cancelled = workerPool.speak(clause("two"), at(0), controller.signal);
    await settle();
    controller.abort(new TurnCancelled("disconnected"));
    await expect(cancelled).rejects.toBe(controller.signal.reason);
    await answer(0);
    await first;
    expect(texts).toEqual(["one"]);
  });

  it("rejects a cancelled call while the voice is loading", async () => {
    const { workerPool } = create(new Promise(() => undefined));
    const controller = new AbortController();
    const waiting = workerPool.speak(clause("one"), at(0), controller.signal);
    controller.abort(new TurnCancelled("deadline"));
    await expect(waiting).rejects.toBe(controller.signal.reason);
    expect(workerPool.pendingCalls()).toBe(0);
  });

  it("fails every call when the voice cannot be loaded, and retries for the next", async () => {
    const broken = new ProviderError("local", "server", "no model");
    const { workerPool, ends } = create(Promise.reject(broken));
    await expect(workerPool.open()).rejects.toBe(broken);
    await settle();
    ends.length = 0;
    await expect(workerPool.speak(clause("one"), at(0), never)).rejects.toBe(broken);
    await settle();
    await expect(workerPool.speak(clause("two"), at(0), never)).rejects.toBe(broken);
    expect(ends.length).toBe(2);
  });

  it("starts one worker, and another after it exited", async () => {
    const { workerPool, ends, runs, answer } = create();
    workerPool.open();
    workerPool.open();
    const failing = workerPool.speak(clause("one"), at(0), never);
    const next = workerPool.speak(clause("two"), at(0), never);
    await settle();
    expect(ends.length).toBe(1);
    ends[0]?.();
    runs[0]?.reject(ended());
    await expect(failing).rejects.toMatchObject({ kind: "server" });
    await settle();
    expect(ends.length).toBe(2);
    await answer(1);
    expect(await next).toEqual(part);
  });

  it("fails pending and later calls when it is closed", async () => {
    const { workerPool } = create();
    const calls = [
      workerPool.speak(clause("one"), at(0), never),
      workerPool.speak(clause("two"), at(0), never),
    ];
    const outcomes = Promise.allSettled(calls);
    await settle();
    await workerPool.close();
    for (const outcome of await outcomes) expect(outcome.status).toBe("rejected");
    await expect(workerPool.speak(clause("three"), at(0), never)).rejects.toMatchObject({
      kind: "server",
    });
    expect(workerPool.pendingCalls()).toBe(0);
  });

  it("speaks several clauses at once with several workers", async () => {
    const { workerPool, texts, ends, answer } = create(Promise.resolve(), { workers: 2 });
    await workerPool.open();
    await settle();
    expect(ends.length).toBe(2);
    const calls = ["one", "two", "three"].map((text) =>
      workerPool.speak(clause(text), at(0), never),
    );
    await settle();
    expect(texts).toEqual(["one", "two"]);
    await answer(1);
    expect(texts).toEqual(["one", "two", "three"]);
    await answer(0);
    await answer(2);
    expect(await Promise.all(calls)).toEqual([part, part, part]);
  });

  it("retries a clause once if its worker was lost", async () => {
    const { workerPool, texts, ends, runs, answer } = create(Promise.resolve(), {
      retriesLostClauses: true,
    });
    const spoken = workerPool.speak(clause("one"), at(0), never);
    await settle();
    runs[0]?.reject(ended());
    await settle();
    expect(texts).toEqual(["one", "one"]);
    expect(ends.length).toBe(2);
    await answer(1);
    expect(await spoken).toEqual(part);

    const failing = workerPool.speak(clause("two"), at(0), never);
    for (const run of [2, 3]) {
      await settle();
      runs[run]?.reject(ended());
    }
    await expect(failing).rejects.toBeInstanceOf(WorkerLost);
  });

  it("replaces the worker of a cancelled run that others wait for", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const { workerPool, texts, ends } = create(Promise.resolve(), { cancelledRunTimeoutMs: 400 });
    const controller = new AbortController();
    const cancelled = workerPool.speak(clause("one"), at(0), controller.signal);
    await settle();
    controller.abort(new TurnCancelled("interrupted"));
    await expect(cancelled).rejects.toBe(controller.signal.reason);
    vi.advanceTimersByTime(10_000);
    expect(ends.length).toBe(1);
    const next = workerPool.speak(clause("two"), at(0), never);
    await settle();
    vi.advanceTimersByTime(399);
    expect([texts, ends.length]).toEqual([["one"], 1]);
    vi.advanceTimersByTime(1);
    await settle();
    expect([texts, ends.length]).toEqual([["one", "two"], 2]);
    next.catch(() => undefined);
    await workerPool.close();
  });

  it("reports whether it is ready, and the wait of a new clause", async () => {
    const ready = Promise.withResolvers<void>();
    const { workerPool, answer } = create(ready.promise);
    const calls = ["one", "two"].map((text) => workerPool.speak(clause(text), at(0), never));
    expect(workerPool.isReady()).toBe(false);
    ready.resolve();
    await settle();
    expect([workerPool.isReady(), workerPool.backlogMs()]).toEqual([true, 0]);
    await answer(0);
    const third = workerPool.speak(clause("three"), at(0), never);
    await settle();
    expect(workerPool.backlogMs()).toBeGreaterThan(0);
    await answer(1);
    await answer(2);
    await Promise.all([...calls, third]);
    expect(workerPool.backlogMs()).toBe(0);
  });
});
