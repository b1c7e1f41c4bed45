import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { createRedis } from "../../server/cluster/redis.ts";
import { createRedisTurnRegistry } from "../../server/cluster/redis-turn-registry.ts";
import { createActiveTurns } from "../../server/conversation/active-turns.ts";
import type { ActiveTurns } from "../../server/conversation/active-turns-contract.ts";
import { createLogger } from "../../server/telemetry/logger.ts";

export const WAIT = { timeout: 8000, interval: 5 };
const limits = { maxTurns: 5, maxTurnsPerDevice: 3, maxTurnsPerConnection: 100, maxTurnMs: 30_000 };

/** One of several instances, which can vanish as if its process were killed. */
export async function open(url: string, more: { leaseMs?: number; sessionIdleMs?: number } = {}) {
  const redis = createRedis({ url, logger: createLogger("silent") });
  const registry = createRedisTurnRegistry(redis, { ...limits, sessionIdleMs: 300_000, ...more });
  const turns = createActiveTurns(limits, registry);
  registry.start();
  await redis.start();
  const vanish = () => redis.stop();
  const stop = () => registry.stop().then(vanish);
  onTestFinished(stop);
  return { redis, turns, stop, vanish };
}

/** Begins a turn that goes on until it is ended. */
export async function begin(turns: ActiveTurns, deviceId: string, sessionId = "s") {
  const named = { deviceId, sessionId, turnId: randomUUID() };
  const turn = turns.begin(named, new AbortController().signal);
  return { ...turn, turnId: named.turnId, sessionId: await turn.admitted };
}
