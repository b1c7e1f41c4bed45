import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, vi } from "vitest";
import { createRedis } from "../../server/cluster/redis.ts";
import type { Redis } from "../../server/cluster/redis-contract.ts";
import { RedisError } from "../../server/cluster/redis-errors.ts";
import type { GatewayStatus } from "../../server/http/status.ts";
import { createLogger, type Logger } from "../../server/telemetry/logger.ts";
import { startChildGateway } from "../support/child-gateway.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, startRedisServer } from "../support/redis-server.ts";
import { shortestMs } from "../support/shortest.ts";

const it = itUnless(!hasRedis());

const logger = createLogger("silent");
const WAIT = { timeout: 5000, interval: 5 };

async function open(url: string): Promise<Redis> {
  const redis = createRedis({ url, logger });
  onTestFinished(() => redis.stop());
  await redis.start();
  return redis;
}

/** The same, and what it logs. */
async function openLogged(url: string) {
  const logged: string[] = [];
  const log = (...said: readonly unknown[]) => void logged.push(JSON.stringify(said));
  const recorder: Logger = { debug: log, info: log, warn: log, error: log };
  const redis = createRedis({ url, logger: recorder });
  onTestFinished(() => redis.stop());
  await redis.start();
  return { redis, lines: () => logged.join("\n") };
}

async function failureOf(call: Promise<unknown>): Promise<RedisError> {
  const error: unknown = await call.catch((thrown: unknown) => thrown);
  if (!(error instanceof RedisError)) throw new Error(`no RedisError: ${error}`);
  return error;
}

describe("createRedis", () => {
  it("runs commands and scripts, in the order of the calls", async () => {
    await using server = await startRedisServer();
    const redis = await open(server.url);
    const add = redis.script("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1);
    const answers = await Promise.all([
      add(["n", 2]),
      redis.run((client) => client.incr("n")),
      add(["n", 10]),
      redis.run((client) => client.getBuffer("n")),
    ]);
    expect(answers).toEqual([2, 3, 13, Buffer.from("13")]);
    expect(redis.status()).toEqual({ enabled: true, state: "ok", since: expect.any(String) });
  });

  it("hears a channel's messages on a second connection until it leaves", async () => {
    await using server = await startRedisServer();
    const redis = await open(server.url);
    const ears = redis.connect("ears");
    const heard: string[] = [];
    const opened = Promise.withResolvers<void>();
    ears.onOpen(opened.resolve);
    const leave = ears.subscribe("news", (message) => heard.push(message));
    await opened.promise;
    const publish = (text: string) => redis.run((client) => client.publish("news", text));
    expect(await publish("one")).toBe(1);
    await vi.waitFor(() => expect(heard).toEqual(["one"]), WAIT);
    leave();
    await vi.waitFor(async () => expect(await publish("two")).toBe(0), WAIT);
    expect(heard).toEqual(["one"]);
  });

  it("fails at once while Redis is gone, and heals with its subscriptions when it is back", async () => {
    await using server = await startRedisServer();
    const redis = await open(server.url);
    const ears = redis.connect("ears");
    const heard: string[] = [];
    ears.subscribe("news", (message) => heard.push(message));
    await vi.waitFor(() => expect(redis.status().state).toBe("ok"), WAIT);
    await server.kill();
    await vi.waitFor(() => expect(redis.status().state).toBe("degraded"), WAIT);
    const tookMs = await shortestMs(async () => {
      const { kind } = await failureOf(redis.run((client) => client.incr("n")));
      expect(kind).toBe("unreachable");
    });
    expect(tookMs).toBeLessThan(50);
    await server.restart();
    await vi.waitFor(() => expect(redis.status().state).toBe("ok"), WAIT);
    expect(redis.status().lastError).toBe("unreachable");
    await redis.run((client) => client.publish("news", "again"));
    await vi.waitFor(() => expect(heard).toEqual(["again"]), WAIT);
  });

  it("waits for a stalled Redis once, then fails at once, keeps nothing, and heals", async () => {
    await using server = await startRedisServer();
    const redis = await open(server.url);
    server.stall();
    const call = () => failureOf(redis.run((client) => client.incr("n")));
    expect((await call()).kind).toBe("timeout");
    expect(redis.status()).toMatchObject({ state: "degraded", lastError: "timeout" });
    const startMs = performance.now();
    for (let count = 0; count < 1000; count++) await call();
    expect(performance.now() - startMs).toBeLessThan(1000);
    // Longer than a connection without answers is kept.
    await new Promise((resolve) => setTimeout(resolve, 1700));
    expect(redis.status().state).toBe("degraded");
    server.resume();
    await vi.waitFor(() => expect(redis.status().state).toBe("ok"), WAIT);
    // The first one may have arrived; the thousand never left.
    expect(await redis.run((client) => client.incr("n"))).toBeLessThanOrEqual(2);
  });

  it("bounds what waits for answers", async () => {
    await using server = await startRedisServer();
    const redis = await open(server.url);
    server.stall();
    const bytes = Buffer.alloc(1024 * 1024);
    const calls = Array.from({ length: 100 }, () =>
      failureOf(redis.run((client) => client.set("big", bytes))),
    );
    const kinds = (await Promise.all(calls)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "overload").length).toBeGreaterThan(50);
    server.resume();
    await vi.waitFor(() => expect(redis.status().state).toBe("ok"), WAIT);
  });

  it("says that a password is wrong, without it", async () => {
    await using server = await startRedisServer({ password: "right" });
    const { redis, lines } = await openLogged(server.url.replace("right", "wrong"));
    expect(lines()).toContain("WRONGPASS");
    expect(lines()).not.toContain("wrong");
    expect(redis.status()).toMatchObject({ state: "degraded", lastError: "unauthorized" });
    const error = await failureOf(redis.run((client) => client.ping()));
    expect(String(error.stack)).not.toContain("wrong");
    const right = await open(server.url);
    expect(await right.run((client) => client.ping())).toBe("PONG");
  });

  it("names the kind of an answer that is an error", async () => {
    await using server = await startRedisServer();
    const redis = await open(server.url);
    await redis.run((client) => client.set("text", "secret"));
    const error = await failureOf(redis.run((client) => client.lpush("text", "secret")));
    expect(error).toMatchObject({ kind: "refused", code: "WRONGTYPE" });
    expect(error.message).not.toContain("secret");
    expect(redis.status().state).toBe("ok");
  });

  it("starts without Redis, and connects once it is there", async () => {
    await using server = await startRedisServer();
    await server.kill();
    const redis = await open(server.url);
    expect(redis.status()).toMatchObject({ state: "degraded", lastError: "unreachable" });
    await server.restart();
    await vi.waitFor(() => expect(redis.status().state).toBe("ok"), WAIT);
  });

  it("stops at once, stalled as Redis may be", async () => {
    await using server = await startRedisServer();
    const redis = await open(server.url);
    server.stall();
    const startMs = performance.now();
    await redis.stop();
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect((await failureOf(redis.run((client) => client.ping()))).kind).toBe("unreachable");
  });
});

describe("REDIS_URL", () => {
  it("with rediss:// takes a server whose certificate is trusted, and no other; logs hold no password", async () => {
    const folder = mkdtempSync(join(tmpdir(), "parley-tls-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const tls = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    const made =
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=redis";
    execFileSync(
      "openssl",
      [
        ...made.split(" "),
        ...["-addext", "subjectAltName=IP:127.0.0.1"],
        ...["-keyout", tls.key, "-out", tls.cert],
      ],
      { stdio: "ignore" },
    );
    await using server = await startRedisServer({ tls, password: "pa55word" });
    const { redis: other, lines } = await openLogged(server.url);
    expect(other.status()).toMatchObject({ state: "degraded", lastError: "unreachable" });
    expect(lines()).toContain("SELF_SIGNED_CERT");
    expect(lines()).not.toContain("pa55word");
    await using trusting = await startChildGateway({
      REDIS_URL: server.url,
      LOG_LEVEL: "trace",
      NODE_EXTRA_CA_CERTS: tls.cert,
    });
    await vi.waitFor(async () => {
      const answer = await fetch(`http://127.0.0.1:${trusting.httpPort}/status`);
      const { redis } = (await answer.json()) as GatewayStatus;
      expect(redis).toMatchObject({ enabled: true, state: "ok" });
    }, WAIT);
    expect(trusting.log()).not.toContain("pa55word");
  });
});
