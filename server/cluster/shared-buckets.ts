import type { SharedBucket, SharedBuckets } from "../core/token-buckets.ts";
import type { RedisConnection } from "./redis-contract.ts";

/**
 * A bucket is the time at which it is full again, in milliseconds since 1970 by Redis' clock; it expires
 * then. Adds the milliseconds that the taken tokens take to come back; answers how far away that time is.
 */
const SPEND = `
local time = redis.call("TIME")
local now = time[1] * 1000 + time[2] / 1000
local full = math.max(tonumber(redis.call("GET", KEYS[1]) or 0), now) + tonumber(ARGV[1])
local left = full - now
redis.call("SET", KEYS[1], string.format("%.3f", full), "PX", math.max(1, math.ceil(left)))
return string.format("%.3f", left)
`;

/** Buckets that wait for an answer. What is taken from more of them meanwhile is not shared. */
const MAX_WAITING = 10_000;

/**
 * Shares buckets through Redis. A bucket has one call in flight: what is taken meanwhile goes with the
 * next one. While Redis is down nothing is shared.
 */
export function createSharedBuckets(redis: Pick<RedisConnection, "script">): SharedBuckets {
  const spend = redis.script(SPEND, 1);
  /** Tokens that were taken since the call in flight began, by bucket. */
  const waiting = new Map<string, number>();

  const send = async (
    { name, key, rate }: SharedBucket,
    tokens: number,
    onMissing: (missing: number) => void,
  ): Promise<void> => {
    const bucket = `parley:limit:${name}:${key}`;
    const taken = waiting.get(bucket);
    if (taken !== undefined) return void waiting.set(bucket, taken + tokens);
    if (waiting.size >= MAX_WAITING) return;
    waiting.set(bucket, 0);
    try {
      const leftMs = Number(await spend([bucket, (tokens / rate.perSecond) * 1000]));
      onMissing((leftMs / 1000) * rate.perSecond);
    } catch {
      // What Redis lacks shows in its own status.
      waiting.set(bucket, 0);
    }
    const since = waiting.get(bucket) ?? 0;
    waiting.delete(bucket);
    if (since > 0) await send({ name, key, rate }, since, onMissing);
  };
  return { spend: (bucket, tokens, onMissing) => void send(bucket, tokens, onMissing) };
}
