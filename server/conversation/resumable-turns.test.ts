import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { onAbort, TurnCancelled } from "../core/async.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import type { TurnChunk } from "./reply.ts";
import { ResumableTurns } from "./resumable-turns.ts";
import { MAX_TURN_BYTES } from "./turn-buffer.ts";
import type { TurnRequest } from "./turn-request.ts";

const SECOND = outputRateHz;
const ids = { turnId: "t", sessionId: "s" };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Batches of 1 s of sound, as many as are asked for. */
function* speech(seconds: number): Generator<readonly TurnChunk[]> {
  for (let at = 0; at < seconds; at++) {
    yield [{ type: "audio", pcm: new Int16Array(SECOND), synthesizer: "test" }];
  }
}

/** Turns that play a script, and what became of them. */
function openTurns(script: () => Iterable<readonly TurnChunk[]>, maxBytes?: number) {
  const turns = { made: 0, ended: [] as string[], reports: [] as number[] };
  const aborters = new Map<string, AbortController>();
  const resumable = new ResumableTurns(
    async function* (request, clientSignal, listener) {
      const aborter = new AbortController();
      aborters.set(request.turnId, aborter);
      onAbort(clientSignal, (reason) =>
        aborter.abort(reason instanceof TurnCancelled ? reason : new TurnCancelled("disconnected")),
      );
      listener.onBegin?.({ ...ids, turnId: request.turnId });
      listener.onAdmitted?.(aborter.signal);
      try {
        for (const batch of script()) {
          turns.made += 1;
          yield batch;
        }
        await listener.untilSent?.();
      } finally {
        turns.ended.push(request.turnId);
      }
    },
    {
      find: () => ({
        hasBegun: () => true,
        bytes: () => 1,
        isPlaying: () => false,
        cut: () => undefined,
        report: async (samples) => void turns.reports.push(samples),
      }),
    },
    { ...(maxBytes !== undefined && { maxBytes }) },
  );
  const run = (turnId = "t") => {
    const client = new AbortController();
    const request = { deviceId: "d", turnId, verbatim: false } as TurnRequest & {
      readonly deviceId: string;
    };
    return { client, chunks: resumable.run(request, client.signal, {}) };
  };
  const resume = (after: number, turnId = "t") =>
    resumable.resume({ deviceId: "d", turnId, after }, new AbortController().signal, {});
  return { turns, resumable, run, resume, aborters };
}

const sequencesOf = (chunks: readonly (readonly TurnChunk[])[]) =>
  chunks.flat().map(({ sequence }) => sequence);

describe("ResumableTurns", () => {
  it("ends a turn that nobody has read for 30 s, as far as its client can have heard it", async () => {
    const { turns, resumable, run, resume } = openTurns(() => speech(100));
    const { client, chunks } = run();
    await chunks.next();
    client.abort();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(resumable.isKept({ deviceId: "d", turnId: "t" })).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(resumable.isKept({ deviceId: "d", turnId: "t" })).toBe(false);
    expect(turns).toMatchObject({ ended: ["t"], reports: [SECOND] });
    await expect(resume(1).next()).rejects.toThrow("this device has no such turn to resume");
  });

  it("keeps a turn that was taken up within 30 s", async () => {
    const { turns, run, resume } = openTurns(() => speech(3));
    const { client, chunks } = run();
    await chunks.next();
    client.abort();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(turns.ended).toEqual([]);
    const rest = resume(1);
    expect(sequencesOf([(await rest.next()).value as readonly TurnChunk[]])).toEqual([2]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(turns.ended).toEqual([]);
    expect(sequencesOf(await Array.fromAsync(rest))).toEqual([3]);
    expect(turns.ended).toEqual(["t"]);
  });

  it("has a turn without a reader wait at 2 MiB, and go on from there", async () => {
    const { turns, run, resume } = openTurns(() => speech(60));
    const { client, chunks } = run();
    await chunks.next();
    client.abort();
    await vi.advanceTimersByTimeAsync(1000);
    const bytes = turns.made * 2 * SECOND;
    expect(bytes).toBeLessThanOrEqual(MAX_TURN_BYTES);
    expect(bytes).toBeGreaterThan(0.9 * MAX_TURN_BYTES);
    const rest = Array.fromAsync(resume(1));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sequencesOf(await rest)).toEqual(Array.from({ length: 59 }, (_, at) => at + 2));
  });

  it("sends what is over 2 MiB as it is played, unless the client confirms it before", async () => {
    const { turns, run, resumable } = openTurns(() => speech(60));
    const read = Array.fromAsync(run().chunks);
    await vi.advanceTimersByTimeAsync(500);
    const atOnce = turns.made;
    expect(atOnce).toBeLessThan(22);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(turns.made - atOnce).toBe(10);
    resumable.confirm({ deviceId: "d", turnId: "t" }, 60 * SECOND);
    await vi.advanceTimersByTimeAsync(500);
    expect(turns.made).toBeGreaterThan(atOnce + 25);
    resumable.stop();
    await expect(read).rejects.toThrow("the client left");
  });

  it("gives up those that nobody reads when all together keep too much, the oldest first", async () => {
    const { run, resumable } = openTurns(() => speech(30), 5_000_000);
    for (const turnId of ["first", "second", "third"]) {
      const { client, chunks } = run(turnId);
      await chunks.next();
      client.abort();
      await vi.advanceTimersByTimeAsync(10);
    }
    const isKept = (turnId: string) => resumable.isKept({ deviceId: "d", turnId });
    expect(["first", "second", "third"].map(isKept)).toEqual([false, true, true]);
  });

  it("ends its reader as soon as the turn is interrupted, though more is kept", async () => {
    const { run, resume, aborters } = openTurns(() => speech(5));
    const { client, chunks } = run();
    await chunks.next();
    client.abort();
    await vi.advanceTimersByTimeAsync(10);
    const rest = resume(1);
    await rest.next();
    aborters.get("t")?.abort(new TurnCancelled("interrupted"));
    await expect(rest.next()).rejects.toThrow("the turn was interrupted");
    await expect(resume(2).next()).rejects.toThrow("the turn was interrupted");
  });

  it("ends with its client's token, which was revoked", async () => {
    const { turns, run, resume } = openTurns(() => speech(100));
    const { client, chunks } = run();
    await chunks.next();
    client.abort(new TurnCancelled("revoked"));
    await vi.advanceTimersByTimeAsync(0);
    expect(turns.ended).toEqual(["t"]);
    await expect(resume(1).next()).rejects.toMatchObject({ reason: "revoked" });
  });

  it("reads what is left of a turn that failed, then its error, again and again", async () => {
    const { run, resume } = openTurns(function* () {
      yield* speech(2);
      throw new Error("broken");
    });
    const { client, chunks } = run();
    await chunks.next();
    client.abort();
    await vi.advanceTimersByTimeAsync(10);
    for (const after of [1, 1]) {
      const rest = resume(after);
      expect(sequencesOf([(await rest.next()).value as readonly TurnChunk[]])).toEqual([2]);
      await expect(rest.next()).rejects.toThrow("broken");
    }
  });

  it("forgets a turn that failed before its first chunk", async () => {
    const { run, resumable } = openTurns(() => {
      throw new Error("broken");
    });
    await expect(run().chunks.next()).rejects.toThrow("broken");
    expect(resumable.isKept({ deviceId: "d", turnId: "t" })).toBe(false);
  });

  it("leaves no timer behind when it stops", async () => {
    const { run, resumable } = openTurns(() => speech(100));
    const { client, chunks } = run();
    await chunks.next();
    client.abort();
    resumable.stop();
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
