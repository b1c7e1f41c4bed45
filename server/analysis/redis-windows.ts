import type { RedisConnection } from "../cluster/redis-contract.ts";
import { bytesOf, samplesOf } from "../core/audio/pcm.ts";
import { AnalysisError } from "./errors.ts";
import type { WindowStore } from "./score-file.ts";

/** Milliseconds after which a window is gone that nobody took: its gateway has died. */
const EXPIRY_MS = 600_000;
const CALL_MS = 1000;

/**
 * Keeps a task's windows in Redis, each under the task's id and its number, until they are taken; the rest is
 * deleted by `close`. While Redis cannot be had, they wait in this process.
 */
export function openRedisWindows(
  redis: RedisConnection,
  task: string,
  expiryMs = EXPIRY_MS,
): WindowStore & { close(): Promise<void> } {
  const here = new Map<number, Int16Array>();
  const there = new Set<number>();
  const keyOf = (index: number) => `parley:analysis:window:${task}:${index}`;
  const take = async (index: number, signal: AbortSignal): Promise<Int16Array> => {
    const local = here.get(index);
    here.delete(index);
    if (local) return local;
    const bounds = { timeoutMs: CALL_MS, signal };
    const found = await redis
      .run((client) => client.getdelBuffer(keyOf(index)), bounds)
      .catch(() => null);
    signal.throwIfAborted();
    there.delete(index);
    // A copy: the bytes may lie at an odd address.
    if (found) return samplesOf(Uint8Array.from(found));
    throw new AnalysisError("worker", "a window is gone from Redis");
  };
  return {
    async put(index, window, signal) {
      const bytes = Buffer.from(bytesOf(window));
      const bounds = { timeoutMs: CALL_MS, signal };
      try {
        there.add(index);
        await redis.run((client) => client.set(keyOf(index), bytes, "PX", expiryMs), bounds);
      } catch {
        signal.throwIfAborted();
        here.set(index, window);
      }
    },
    take: (indexes, signal) => Promise.all(indexes.map((index) => take(index, signal))),
    async close() {
      here.clear();
      const keys = [...there].map(keyOf);
      if (keys.length === 0) return;
      await redis
        .run((client) => client.unlink(...keys), { timeoutMs: CALL_MS })
        .catch(() => undefined);
    },
  };
}
