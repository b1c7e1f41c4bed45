import { getEventListeners } from "node:events";
import { setImmediate, setTimeout } from "node:timers/promises";
import { expect } from "vitest";
import { TurnCancelled } from "../../server/core/async.ts";

/** A call of a provider: a reply or a sentence. */
export type Call<Part> = (signal: AbortSignal) => AsyncIterable<Part>;

/** The limit for "at once", on a busy machine. */
const promptlyMs = 1_000;

/** Silence that distinguishes a provider that hangs from a slow one. */
const stillMs = 50;

/** Connections that a provider may keep for its next calls, counting both ends. */
const keptResources = 24;

/** A call in progress. */
export type BegunCall<Part> = {
  /** Pulls the next part; `undefined` at the end. */
  next(): Promise<Part | undefined>;
  /** Cancels it. Returns the reason, which the next `next` must throw. */
  cancel(): TurnCancelled;
  /** Ends it without a cancel, like `break`. */
  leave(): Promise<void>;
  /** Listeners that the call has on its signal. */
  listeners(): number;
};

/** Begins a call; nothing is pulled yet. */
export function begin<Part>(call: Call<Part>): BegunCall<Part> {
  const controller = new AbortController();
  const { signal } = controller;
  const parts = call(signal)[Symbol.asyncIterator]();
  return {
    async next() {
      const read = await parts.next();
      return read.done ? undefined : read.value;
    },
    cancel() {
      const reason = new TurnCancelled("interrupted");
      controller.abort(reason);
      return reason;
    },
    async leave() {
      await parts.return?.();
    },
    listeners: () => getEventListeners(signal, "abort").length,
  };
}

/** Pulls until the end. */
export async function readOn<Part>(
  call: BegunCall<Part>,
  onPart?: (part: Part) => void,
): Promise<undefined> {
  for (let part = await call.next(); part !== undefined; part = await call.next()) onPart?.(part);
  return undefined;
}

/** Waits until the condition holds, at most a second. Returns the milliseconds. */
export async function untilPromptly(holds: () => boolean): Promise<number> {
  const from = performance.now();
  while (!holds() && performance.now() - from < promptlyMs) await setImmediate();
  expect(holds()).toBe(true);
  return performance.now() - from;
}

/** Cancels the call. Expects that the next pull throws the reason at once, and that the call then ends. */
export async function expectCancelled<Part>(
  call: BegunCall<Part>,
  pending: Promise<Part | undefined> = Promise.resolve(undefined),
): Promise<void> {
  const reason = call.cancel();
  const from = performance.now();
  const outcome = await Promise.all([pending, call.next()]).catch((error: unknown) => error);
  expect(outcome).toBe(reason);
  expect(performance.now() - from).toBeLessThan(promptlyMs);
  expect(await call.next()).toBeUndefined();
  expect(call.listeners()).toBe(0);
}

/** Waits until there are some, and for a twentieth of a second no more of them. */
export async function untilStill(count: () => number): Promise<void> {
  await untilPromptly(() => count() > 0);
  for (let before = 0; before !== count(); ) {
    before = count();
    await setTimeout(stillMs);
  }
}

type CancelOptions = {
  readonly active: () => number;
  readonly times: number;
  /** True of calls that have one part, at once. */
  readonly immediate?: true | undefined;
};

/**
 * Cancels many calls, each at another point: before the first pull, while a pull waits, after one
 * part and at the end. Expects that neither resources nor listeners are left behind, and that
 * `active` is soon 0. Returns the milliseconds that each cancel took until then, in rising order.
 */
export async function cancelMany<Part>(
  open: Call<Part>,
  { active, times, immediate }: CancelOptions,
): Promise<readonly number[]> {
  for (let at = 0; at < 4; at++) await cancelAt(begin(open), at, immediate);
  await untilPromptly(() => active() === 0);
  const before = countResources();
  const tookMs: number[] = [];
  for (let at = 0; at < times; at++) {
    const call = begin(open);
    await cancelAt(call, at % 4, immediate);
    tookMs.push(await untilPromptly(() => active() === 0));
    expect(call.listeners()).toBe(0);
  }
  await expect.poll(() => grown(before), { timeout: 5_000, interval: 20 }).toEqual([]);
  return tookMs.toSorted((a, b) => a - b);
}

async function cancelAt<Part>(
  call: BegunCall<Part>,
  point: number,
  immediate?: true,
): Promise<void> {
  if (point === 3) {
    await readOn(call);
    call.cancel();
    return;
  }
  if (point === 2) await call.next();
  const pulls = point === 1 ? [call.next()] : [];
  if (point === 1) await setImmediate();
  const reason = call.cancel();
  // A pull that was answered just before the cancel does not count: the next one must throw.
  const outcomes = await Promise.allSettled([...pulls, call.next()]);
  const thrown = outcomes.flatMap((pull) => (pull.status === "rejected" ? [pull.reason] : []));
  // A reply of one part is over with it.
  expect(thrown).toEqual(immediate && point > 0 ? [] : [reason]);
}

function countResources(): ReadonlyMap<string, number> {
  const kinds = process.getActiveResourcesInfo();
  return new Map(kinds.map((kind) => [kind, kinds.filter((other) => other === kind).length]));
}

/** Kinds of which there are more than before, beyond what may be kept. */
function grown(before: ReadonlyMap<string, number>): readonly string[] {
  return [...countResources()]
    .filter(([kind, count]) => count > (before.get(kind) ?? 0) + keptResources)
    .map(([kind, count]) => `${kind}: ${count}`);
}
