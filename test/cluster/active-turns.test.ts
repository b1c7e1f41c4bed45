import { createRedis } from "../../server/cluster/redis.ts";
import { createRedisTurnRegistry } from "../../server/cluster/redis-turn-registry.ts";
import { createActiveTurns } from "../../server/conversation/active-turns.ts";
import type { TurnLimits } from "../../server/conversation/turn-limits.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { activeTurnsSuite } from "../contracts/active-turns-suite.ts";
import { hasRedis, startRedisServer } from "../support/redis-server.ts";

const logger = createLogger("silent");

activeTurnsSuite("createActiveTurns", async (limits) => {
  const turns = createActiveTurns(limits);
  return { instances: [turns, turns] };
});

if (hasRedis()) {
  activeTurnsSuite("createActiveTurns, two over Redis", async (limits) => {
    const server = await startRedisServer();
    const open = async (own: TurnLimits) => {
      const redis = createRedis({ url: server.url, logger });
      const registry = createRedisTurnRegistry(redis, { ...own, sessionIdleMs: 300_000 });
      const turns = createActiveTurns(own, registry);
      registry.start();
      await redis.start();
      return { turns, stop: () => registry.stop().then(() => redis.stop()) };
    };
    const [a, b] = [await open(limits), await open(limits)];
    return {
      instances: [a.turns, b.turns],
      async close() {
        await Promise.all([a.stop(), b.stop()]);
        await server[Symbol.asyncDispose]();
      },
    };
  });
}
