import { deviceKey } from "./device-keys.ts";
import type { Redis } from "./redis-contract.ts";

/** A session of one device. */
type Session = { readonly deviceId: string; readonly sessionId: string };

/** Texts of a turn by its id, in the order in which turns began. */
export type RecentTurn = { readonly turnId: string; readonly value: string };

/** The latest turns of each session, as whoever runs them writes them down: a few, for a while. */
export type RecentTurns = {
  /** Keeps a turn, or replaces it. `order` rises from turn to turn. Rejects with a `RedisError`. */
  put(session: Session, turn: RecentTurn & { readonly order: number }): Promise<void>;
  /** What is kept of a session, oldest first. Rejects with a `RedisError`. */
  read(session: Session): Promise<readonly RecentTurn[]>;
};

/** KEYS: ids by order, values by id. ARGV: turn, order, value, most turns, milliseconds that they rest. */
const PUT = `
redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
for _, old in ipairs(redis.call('ZRANGE', KEYS[1], 0, -(ARGV[4] + 1))) do
  redis.call('ZREM', KEYS[1], old)
  redis.call('HDEL', KEYS[2], old)
end
for at = 1, 2 do redis.call('PEXPIRE', KEYS[at], ARGV[5]) end
`;

const READ = `
local ids = redis.call('ZRANGE', KEYS[1], 0, -1)
local found = {}
for at, id in ipairs(ids) do
  found[2 * at - 1], found[2 * at] = id, redis.call('HGET', KEYS[2], id) or ''
end
return found
`;

/** Keeps them in Redis: `limit` turns of a session, for `restMs` after the last one. */
export function createRecentTurns(
  redis: Redis,
  { limit, restMs }: { readonly limit: number; readonly restMs: number },
): RecentTurns {
  const put = redis.script(PUT, 2);
  const read = redis.script(READ, 2);
  return {
    async put(session, { turnId, order, value }) {
      await put([...keysOf(session), turnId.toLowerCase(), order, value, limit, restMs]);
    },
    async read(session) {
      const flat = (await read(keysOf(session))) as readonly string[];
      return Array.from({ length: flat.length / 2 }, (_, at) => ({
        turnId: flat[2 * at] ?? "",
        value: flat[2 * at + 1] ?? "",
      }));
    },
  };
}

function keysOf({ deviceId, sessionId }: Session): readonly [string, string] {
  return [
    deviceKey(deviceId, `recent-order:${sessionId}`),
    deviceKey(deviceId, `recent:${sessionId}`),
  ];
}
