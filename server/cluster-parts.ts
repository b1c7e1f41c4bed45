import { createRecentTurns, type RecentTurns } from "./cluster/recent-turns.ts";
import { createRedis } from "./cluster/redis.ts";
import type { Redis } from "./cluster/redis-contract.ts";
import { createRedisTurnRegistry } from "./cluster/redis-turn-registry.ts";
import { createSharedTurns } from "./cluster/shared-turns.ts";
import type { SharedTurns } from "./cluster/shared-turns-contract.ts";
import type { TurnRegistry } from "./cluster/turn-registry.ts";
import type { Config } from "./config/config.ts";
import { MAX_RECALLED, REST_MS } from "./conversation/history.ts";
import type { Logger } from "./telemetry/logger.ts";

/** What several gateways share. Of one that runs alone all is absent. */
export type Cluster = {
  readonly redis?: Redis;
  readonly registry?: TurnRegistry;
  readonly sharedTurns?: SharedTurns;
  readonly recentTurns?: RecentTurns;
  /** Connects, and lists this gateway among the others. Never rejects. */
  start(): Promise<void>;
  stop(): Promise<void>;
};

/** Puts it together. Nothing runs before `start`. */
export function openCluster(config: Config, logger: Logger): Cluster {
  if (config.redis === undefined)
    return { start: async () => undefined, stop: async () => undefined };
  const redis = createRedis({ ...config.redis, logger });
  const registry = createRedisTurnRegistry(redis, config);
  return {
    redis,
    registry,
    // What is large has a connection of its own: nothing else waits behind it.
    sharedTurns: createSharedTurns(redis.connect("turns")),
    recentTurns: createRecentTurns(redis, { limit: MAX_RECALLED, restMs: REST_MS }),
    async start() {
      registry.start();
      await redis.start();
    },
    async stop() {
      await registry.stop();
      await redis.stop();
    },
  };
}
