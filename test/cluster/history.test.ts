import { describe, expect, onTestFinished } from "vitest";
import { createRecentTurns } from "../../server/cluster/recent-turns.ts";
import { createRedis } from "../../server/cluster/redis.ts";
import { MAX_RECALLED, REST_MS } from "../../server/conversation/history.ts";
import { createLocalHistory } from "../../server/conversation/local-history.ts";
import { createSharedHistory } from "../../server/conversation/shared-history.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { historySuite } from "../contracts/history-suite.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, type RedisServer, startRedisServer } from "../support/redis-server.ts";

const isMissing = !hasRedis();
const it = itUnless(isMissing);

async function open(server: RedisServer, now?: () => number) {
  const redis = createRedis({ url: server.url, logger: createLogger("silent") });
  const recent = createRecentTurns(redis, { limit: MAX_RECALLED, restMs: REST_MS });
  await redis.start();
  const create = () => createSharedHistory(createLocalHistory(now ? { now } : {}), recent, now);
  return { redis, create };
}

if (!isMissing) {
  historySuite("createSharedHistory over Redis", async (now) => {
    const server = await startRedisServer();
    const { redis, create } = await open(server, now);
    return {
      history: create(),
      restart: async () => create(),
      close: () => redis.stop().then(() => server[Symbol.asyncDispose]()),
    };
  });
}

describe("createSharedHistory", () => {
  const session = { deviceId: "d", sessionId: "s" };
  const done = { status: "done", sentSamples: 0, tiers: [], reply: "Yes." };

  it("sees what was just heard on another instance, turn by turn", async () => {
    await using server = await startRedisServer();
    const { redis, create } = await open(server);
    onTestFinished(() => redis.stop());
    const [a, b] = [create(), create()];
    for (const [index, history] of [a, b, a].entries()) {
      const turn = history.begin({ ...session, id: `t${index}`, prompt: `p${index}` });
      await turn.write(done);
    }
    for (const history of [a, b]) {
      const users = (await history.recall(session)).map(({ user }) => user);
      expect(users).toEqual(["p0", "p1", "p2"]);
    }
  });

  it("goes on with what this process knows while Redis is gone, and has it first when it is back", async () => {
    await using server = await startRedisServer();
    const { redis, create } = await open(server);
    onTestFinished(() => redis.stop());
    const [a, b] = [create(), create()];
    const say = (history: ReturnType<typeof create>, id: string) =>
      history.begin({ ...session, id, prompt: id }).write(done);
    await say(a, "one");
    await server.kill();
    await say(a, "two");
    const users = async (history: ReturnType<typeof create>) =>
      (await history.recall(session)).map(({ user }) => user);
    expect(await users(a)).toEqual(["one", "two"]);
    expect(await users(b)).toEqual([]);
    await server.restart();
    while (!redis.isOk()) await new Promise((resolve) => setTimeout(resolve, 20));
    await say(b, "three");
    expect(await users(a)).toEqual(["one", "two", "three"]);
    expect(await users(b)).toEqual(["three"]);
  });

  it("keeps 20 turns in Redis, for half an hour", async () => {
    await using server = await startRedisServer();
    const { redis, create } = await open(server);
    onTestFinished(() => redis.stop());
    const history = create();
    for (let turn = 0; turn < 25; turn++) {
      await history.begin({ ...session, id: `t${turn}`, prompt: "p" }).write(done);
    }
    const keys = await redis.run((client) => client.keys("*"));
    const kept = await Promise.all(
      keys.map((key) =>
        redis.run(async (client) => ({
          // A device's id is not in its keys.
          isNamed: key.startsWith(`parley:{d}`),
          size: await client.call(key.includes("order") ? "ZCARD" : "HLEN", key),
          restsMs: await client.pttl(key),
        })),
      ),
    );
    expect(kept.map(({ size }) => size)).toEqual([20, 20]);
    for (const { isNamed, restsMs } of kept) {
      expect(isNamed).toBe(false);
      expect(restsMs).toBeGreaterThan(REST_MS - 10_000);
      expect(restsMs).toBeLessThanOrEqual(REST_MS);
    }
  });
});
