import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createLocalQueue, type RunTask, type TaskQueue } from "../../server/analysis/queue.ts";
import { createRedisQueue } from "../../server/analysis/redis-queue.ts";
import { openRedisWindows } from "../../server/analysis/redis-windows.ts";
import { createRedis } from "../../server/cluster/redis.ts";
import { addressOf } from "../../server/cluster/redis-client.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { stallProcess } from "../support/stall.ts";
import { childrenOf, startAnalyzing, WAIT, wavOf } from "./analyzing.ts";

const logger = createLogger("silent");
const canRun = hasRedis();
const itShared = itUnless(!canRun);
const { signal } = new AbortController();
let redis: RedisServer;
let client: Redis;
beforeAll(async () => {
  if (!canRun) return;
  redis = await startRedisServer();
  client = new Redis(redis.port, { maxRetriesPerRequest: null });
  client.on("error", () => undefined);
});
afterAll(async () => {
  client?.disconnect();
  await redis?.[Symbol.asyncDispose]();
});

const queues: TaskQueue[] = [];
afterEach(async () => {
  await Promise.all(queues.splice(0).map((queue) => queue.stop()));
  if (canRun) await client.flushall();
});
const kept = (queue: TaskQueue) => {
  queues.push(queue);
  return queue;
};
const forms = [
  ["in this process", (size: number) => kept(createLocalQueue(size)), it],
  [
    "in Redis",
    (size: number) => kept(createRedisQueue({ address: addressOf(redis.url), size, logger })),
    itShared,
  ],
] as const;

/** Tasks that run until they are told to end. */
function createTasks() {
  const begun: string[] = [];
  const signals: AbortSignal[] = [];
  const ends = new Map<string, () => void>();
  const run: RunTask = async (id, stopping) => {
    begun.push(id);
    signals.push(stopping);
    await new Promise<void>((resolve) => {
      ends.set(id, resolve);
      stopping.addEventListener("abort", () => resolve());
    });
  };
  return { begun, signals, run, end: (id: string) => ends.get(id)?.() };
}
const until = (check: () => void) => vi.waitFor(check, WAIT);

describe.each(forms)("a queue %s", (_name, create, itHere) => {
  itHere("runs tasks in order, so many at once, each once", async () => {
    const queue = create(2);
    const { begun, run, end } = createTasks();
    await queue.start(run);
    for (const id of ["a", "b", "c", "c", "d"]) await queue.add(id);
    await until(() => expect(begun).toHaveLength(2));
    expect(queue.status().running).toBe(2);
    for (const [ended, count] of [
      ["a", 3],
      ["b", 4],
    ] as const) {
      end(ended);
      await until(() => expect(begun).toHaveLength(count));
    }
    expect([...begun].sort()).toEqual(["a", "b", "c", "d"]);
  });

  itHere("runs no task that was removed", async () => {
    const queue = create(1);
    const { begun, run, end } = createTasks();
    await queue.start(run);
    for (const id of ["a", "b", "c"]) await queue.add(id);
    await until(() => expect(begun).toEqual(["a"]));
    await queue.remove("b");
    end("a");
    await until(() => expect(begun).toEqual(["a", "c"]));
  });

  itHere("runs a task again that is added while it runs, once that is over", async () => {
    const queue = create(2);
    const { begun, run, end } = createTasks();
    await queue.start(run);
    await queue.add("a");
    await until(() => expect(begun).toEqual(["a"]));
    await queue.add("a");
    end("a");
    await until(() => expect(begun).toEqual(["a", "a"]));
  });

  itHere("tells tasks that it stops, and waits for them", async () => {
    const queue = create(1);
    const { begun, signals, run } = createTasks();
    await queue.start(run);
    await queue.add("a");
    await until(() => expect(begun).toEqual(["a"]));
    await queue.stop();
    expect(signals[0]?.aborted).toBe(true);
    expect(queue.status().running).toBe(0);
  });
});

describe("a queue in Redis", () => {
  const create = () => kept(createRedisQueue({ address: addressOf(redis.url), size: 1, logger }));

  itShared("is shared: each task runs at one gateway", async () => {
    const [one, two] = [create(), create()];
    const [first, second] = [createTasks(), createTasks()];
    await one.start(first.run);
    await two.start(second.run);
    await one.add("a");
    await one.add("b");
    await until(() => expect([...first.begun, ...second.begun].sort()).toEqual(["a", "b"]));
    expect([first.begun.length, second.begun.length]).toEqual([1, 1]);
  });

  itShared(
    "runs here what is added while Redis is gone, and shares again when it is back",
    async () => {
      const queue = create();
      const { begun, run, end } = createTasks();
      await queue.start(run);
      await redis.kill();
      await queue.add("a");
      await until(() => expect(begun).toEqual(["a"]));
      end("a");
      await redis.restart();
      await vi.waitFor(
        async () => {
          // What was given to Redis as it died may arrive late: then "a" runs here once more.
          end("a");
          await queue.add("b");
          expect(begun).toContain("b");
        },
        { ...WAIT, interval: 200 },
      );
    },
  );
});

describe("windows in Redis", () => {
  const windowKeys = () => client.keys("parley:analysis:window:*");

  itShared("come back as they were, and none is left when they are closed or too old", async () => {
    const connection = createRedis({ url: redis.url, logger });
    await connection.start();
    const windows = openRedisWindows(connection, "task");
    for (const index of [0, 1, 2]) await windows.put(index, Int16Array.of(index, -7), signal);
    expect(await windowKeys()).toHaveLength(3);
    expect(await windows.take([0, 1], signal)).toEqual([
      Int16Array.of(0, -7),
      Int16Array.of(1, -7),
    ]);
    await expect(windows.take([1], signal)).rejects.toMatchObject({ kind: "worker" });
    await windows.close();
    expect(await windowKeys()).toEqual([]);
    const short = openRedisWindows(connection, "task", 50);
    await short.put(0, Int16Array.of(1), signal);
    await vi.waitFor(async () => expect(await windowKeys()).toEqual([]), WAIT);
    await connection.stop();
    // Without Redis they wait here.
    await short.put(1, Int16Array.of(5), signal);
    expect(await short.take([1], signal)).toEqual([Int16Array.of(5)]);
  });

  itShared("are none after a task, and after one whose worker was killed", async () => {
    const others = new Set(childrenOf("scoring/worker"));
    await using analyzing = await startAnalyzing({ env: { REDIS_URL: redis.url } });
    const task = await analyzing.analyze(wavOf({ seconds: 20 }));
    expect(task).toMatchObject({ status: "COMPLETED", progress: { done: 5, total: 5 } });
    expect(await windowKeys()).toEqual([]);
    const stopped = childrenOf("scoring/worker").filter((pid) => !others.has(pid));
    for (const pid of stopped) stallProcess(pid);
    const { body } = await analyzing.upload(wavOf({ seconds: 60 }));
    await vi.waitFor(async () => expect((await windowKeys()).length).toBeGreaterThan(0), WAIT);
    for (const pid of stopped) process.kill(pid, "SIGKILL");
    expect(await analyzing.untilOver(body.task_id)).toMatchObject({ status: "COMPLETED" });
    expect(analyzing.gateway.status().analysis).toMatchObject({
      queue: { type: "redis" },
      rerun: 1,
    });
    expect(await windowKeys()).toEqual([]);
  });

  itShared("are put back by the sweep, as tasks are, when Redis has lost all", async () => {
    await using analyzing = await startAnalyzing({ env: { REDIS_URL: redis.url } });
    const stopped = childrenOf("scoring/worker");
    for (const pid of stopped) stallProcess(pid);
    const ids: string[] = [];
    for (let at = 0; at < 6; at++) {
      ids.push(
        (await analyzing.upload(wavOf({ seconds: 8, levels: [0.1 + at / 50] }))).body.task_id,
      );
    }
    await redis.restart();
    for (const pid of stopped) process.kill(pid, "SIGCONT");
    for (const id of ids)
      expect(await analyzing.untilOver(id)).toMatchObject({ status: "COMPLETED" });
  });
});
