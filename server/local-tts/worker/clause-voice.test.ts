import { describe, expect, it } from "vitest";
import { TurnCancelled } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import { type ClauseVoiceOptions, createClauseVoice } from "./clause-voice.ts";
import type { Priority } from "./queue.ts";
import type { WorkerPool } from "./worker-pool.ts";

const never = new AbortController().signal;
const settle = () => new Promise((resolve) => setImmediate(resolve));

type Spoken = Priority & { readonly text: string };

/** A voice whose clauses are the text's words, and last as many seconds as they have letters. */
function create({ opened = Promise.resolve(), onOpen, ...more }: Fakes = {}) {
  const spoken: Spoken[] = [];
  const state = { backlogMs: 0, owners: 0, waited: { queueMs: 0, loadingMs: 0 } };
  const workerPool: WorkerPool = {
    open: () => {
      onOpen?.();
      return opened;
    },
    pendingCalls: () => 0,
    isReady: () => true,
    backlogMs: () => state.backlogMs,
    owners: () => state.owners,
    secondsASecond: () => 3,
    waitedMs: () => state.waited,
    close: async () => undefined,
    async speak({ text }, priority) {
      spoken.push({ text, ...priority });
      return { pcm: new Int16Array(text.length * 1000).fill(text.length), sampleRateHz: 1000 };
    },
  };
  const clausesOf = (text: string) =>
    (text.match(/\w+/g) ?? []).map((word) => ({ text: word, pauseMs: 0 }));
  const voice = createClauseVoice({
    name: "a voice",
    workerPool,
    loadingMs: 7,
    clausesOf,
    ...more,
  });
  return { voice, spoken, state };
}

type Fakes = Partial<ClauseVoiceOptions> & {
  readonly opened?: Promise<void>;
  readonly onOpen?: () => void;
};

describe("createClauseVoice", () => {
  it("yields the clauses' audio in order, in parts of 250 ms", async () => {
    const { voice } = create();
    const parts = await Array.fromAsync(voice.synthesize("to be", {}, never));
    expect(parts.map(({ pcm }) => pcm.length)).toEqual(Array(16).fill(250));
    expect(parts.every(({ sampleRateHz }) => sampleRateHz === 1000)).toBe(true);
  });

  it("tells what a call has waited for its turn, and for the voice to load up to a limit", () => {
    const { voice, state } = create({ loadingMs: 700 });
    state.waited = { queueMs: 300, loadingMs: 500 };
    expect(voice.queuedMs?.(never)).toBe(800);
    state.waited = { queueMs: 300, loadingMs: 5_000 };
    expect(voice.queuedMs?.(never)).toBe(1_000);
  });

  it("takes no further turn when it carries as many as it makes audio for, and a queue has grown", () => {
    const { voice, state } = create();
    Object.assign(state, { owners: 2, backlogMs: 4_000 });
    expect(voice.overloadMs?.()).toBe(0);
    Object.assign(state, { owners: 3, backlogMs: 500 });
    expect(voice.overloadMs?.()).toBe(0);
    Object.assign(state, { owners: 3, backlogMs: 4_000 });
    expect(voice.overloadMs?.()).toBe(4_000);
  });

  it("queues by device, or by text without one", async () => {
    const { voice, spoken } = create();
    for (const asked of [{ queueKey: "a device" }, {}, {}]) {
      await Array.fromAsync(voice.synthesize("one two", asked, never));
    }
    const keys = spoken.map(({ queueKey }) => queueKey);
    expect(keys.slice(0, 2)).toEqual(["a device", "a device"]);
    expect(new Set(keys).size).toBe(3);
  });

  it("needs a clause when the one before has been heard", async () => {
    const { voice, spoken } = create();
    const beforeMs = performance.now();
    await Array.fromAsync(voice.synthesize("three four", { queuePosition: 2 }, never));
    const [first, second] = spoken;
    expect(first?.neededAtMs).toBeGreaterThanOrEqual(beforeMs + 6_000);
    expect((second?.neededAtMs ?? 0) - (first?.neededAtMs ?? 0)).toBeCloseTo(5_000, 0);
  });

  it("restarts its worker when it prepares, until the signal fires", async () => {
    let opens = 0;
    const { promise: opened } = Promise.withResolvers<void>();
    const { voice } = create({ opened, onOpen: () => (opens += 1) });
    const aborter = new AbortController();
    const prepared = voice.prepare?.(aborter.signal);
    aborter.abort(new TurnCancelled("interrupted"));
    await expect(prepared).rejects.toThrow("the turn was interrupted");
    expect(opens).toBe(1);
  });

  it("speaks no clause after the signal has fired", async () => {
    const { voice, spoken } = create();
    const controller = new AbortController();
    const reason = new TurnCancelled("interrupted");
    const parts = voice.synthesize("one two", {}, controller.signal)[Symbol.asyncIterator]();
    await parts.next();
    controller.abort(reason);
    await expect(parts.next()).rejects.toBe(reason);
    expect(spoken.map(({ text }) => text)).toEqual(["one"]);
  });

  it("reports, by its name, that there is nothing to pronounce", async () => {
    const { voice } = create();
    await expect(Array.fromAsync(voice.synthesize("—", {}, never))).rejects.toMatchObject({
      provider: "a voice",
      kind: "unsupported",
    });
  });

  it("starts without waiting, and reports why it cannot speak", async () => {
    const broken = new ProviderError("a voice", "authorization", "no model");
    const faults: unknown[] = [];
    const { voice } = create({
      opened: Promise.reject(broken),
      onError: (error) => faults.push(error),
    });
    await voice.start?.(never);
    await settle();
    expect(faults).toEqual([broken]);
  });

  it("reports nothing of a worker that was stopped", async () => {
    const opening = Promise.withResolvers<void>();
    const faults: unknown[] = [];
    const { voice } = create({ opened: opening.promise, onError: (error) => faults.push(error) });
    await voice.start?.(never);
    await voice.stop?.();
    opening.reject(new ProviderError("a voice", "server", "the worker exited"));
    await settle();
    expect(faults).toEqual([]);
  });
});
