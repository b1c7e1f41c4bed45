import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, vi } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createRedis } from "../../server/cluster/redis.ts";
import { createSharedBuckets } from "../../server/cluster/shared-buckets.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, startRedisServer } from "../support/redis-server.ts";

const it = itUnless(!hasRedis());
const WAIT = { timeout: 5000, interval: 5 };

/** Calls in a device's name until one is refused. How many passed. */
async function countPasses({ url }: Gateway, hardwareId: string): Promise<number> {
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl: url }));
  for (let passed = 0; ; passed++) {
    const error = await client.interruptSession({ hardwareId }).then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    if (error?.code === Code.ResourceExhausted) return passed;
    if (error) throw error;
  }
}

describe("gateways with the same Redis", () => {
  it("share what a device may send, and each limits alone while Redis is down", async () => {
    await using server = await startRedisServer();
    const env = { RATE_LIMIT_REQUESTS: "2", REDIS_URL: server.url };
    await using one = await startGateway({ env });
    await using other = await startGateway({ env });
    expect(one.status().limits.store).toBe("redis");
    const startMs = performance.now();
    const passed = (await countPasses(one, "a")) + (await countPasses(other, "a"));
    const seconds = (performance.now() - startMs) / 1000;
    expect(passed).toBeGreaterThanOrEqual(20);
    // Each learns behind its request: one more may pass, and those that came back meanwhile.
    expect(passed).toBeLessThanOrEqual(20 + 2 + 2 * seconds * 2);
    expect(await countPasses(other, "b")).toBeGreaterThanOrEqual(20);

    await server.kill();
    await vi.waitFor(() => expect(one.status().limits.store).toBe("process"), WAIT);
    expect(await countPasses(one, "c")).toBeGreaterThanOrEqual(20);
    await server.restart();
    await vi.waitFor(() => expect(one.status().limits.store).toBe("redis"), WAIT);
  });
});

describe("createSharedBuckets", () => {
  async function open() {
    const server = await startRedisServer();
    onTestFinished(() => server[Symbol.asyncDispose]());
    const redis = createRedis({ url: server.url, logger: createLogger("silent") });
    onTestFinished(() => redis.stop());
    await redis.start();
    return { redis, server };
  }
  const rate = { burst: 100, perSecond: 10 };

  it("adds up what several take, sends it together, and forgets a bucket that is full", async () => {
    const { redis } = await open();
    const calls: unknown[] = [];
    const counting = {
      script(lua: string, keys: number) {
        const run = redis.script(lua, keys);
        return (...args: Parameters<typeof run>) => {
          calls.push(args[0]);
          return run(...args);
        };
      },
    };
    const heard: number[] = [];
    const all = [createSharedBuckets(counting), createSharedBuckets(redis)];
    for (const buckets of all) {
      for (let taken = 0; taken < 20; taken++) {
        const bucket = { name: "device_requests", key: "a", rate };
        buckets.spend(bucket, 1, (missing) => heard.push(missing));
      }
    }
    await vi.waitFor(() => expect(Math.max(...heard)).toBeGreaterThan(38), WAIT);
    expect(Math.max(...heard)).toBeLessThanOrEqual(40);
    expect(calls).toHaveLength(2);
    const ttlMs = await redis.run((client) => client.pttl("parley:limit:device_requests:a"));
    expect(ttlMs).toBeGreaterThan(0);
    expect(ttlMs).toBeLessThanOrEqual(4000);
  });

  it("drops what it cannot send, and goes on", async () => {
    const { redis, server } = await open();
    const heard: number[] = [];
    const spend = () =>
      createSharedBuckets(redis).spend({ name: "n", key: "k", rate }, 1, (n) => heard.push(n));
    await server.kill();
    await vi.waitFor(() => expect(redis.isOk()).toBe(false), WAIT);
    spend();
    await server.restart();
    await vi.waitFor(() => expect(redis.isOk()).toBe(true), WAIT);
    expect(heard).toEqual([]);
    spend();
    await vi.waitFor(() => expect(heard).toHaveLength(1), WAIT);
  });
});
