import { describe, expect, onTestFinished, vi } from "vitest";
import { createRedis } from "../../server/cluster/redis.ts";
import { createSharedTurns } from "../../server/cluster/shared-turns.ts";
import { LEASE_MS } from "../../server/cluster/shared-turns-contract.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, type RedisServer, startRedisServer } from "../support/redis-server.ts";

const it = itUnless(!hasRedis());

const turn = { deviceId: "device", turnId: "0190c000-0000-7000-8000-00000000000a" };
const later = { ...turn, turnId: "0190c000-0000-7000-8000-00000000000b" };
const chunks = (...words: readonly string[]) => words.map((word) => Buffer.from(word));
const place = { after: 0, sent: 0, first: 1 };

async function open(server: RedisServer) {
  const redis = createRedis({ url: server.url, logger: createLogger("silent") });
  onTestFinished(() => redis.stop());
  await redis.start();
  return { redis, turns: createSharedTurns(redis) };
}

/** Takes the turn as soon as its lease has run out. */
async function takeLate(turns: ReturnType<typeof createSharedTurns>) {
  return await vi.waitFor(
    async () => {
      const taken = await turns.take(turn);
      if (!taken) throw new Error("it is still owned");
      return taken;
    },
    { timeout: 10 * LEASE_MS, interval: 20 },
  );
}

describe("SharedTurns", () => {
  it("opens a turn once, whichever case its id is written in", async () => {
    await using server = await startRedisServer();
    const { turns } = await open(server);
    const again = { ...turn, turnId: turn.turnId.toUpperCase() };
    const opened = await Promise.all([turns.open(turn, "{}"), turns.open(again, "{}")]);
    expect(opened).toEqual([true, false]);
  });

  it("keeps an owner's lease as long as it writes, and its turn from others", async () => {
    await using server = await startRedisServer();
    const { turns } = await open(server);
    await turns.open(turn, "request");
    expect(await turns.take(turn)).toBeUndefined();
    await turns.write(turn, 1, { ...place, chunks: chunks("one", "two"), sent: 1, progress: "p" });
    const taken = await takeLate(turns);
    expect(taken).toMatchObject({ epoch: 2, request: "request", progress: "p", sent: 1 });
    expect(taken.chunks.map(({ sequence, bytes }) => [sequence, `${bytes}`])).toEqual([
      [1, "one"],
      [2, "two"],
    ]);
  });

  it("refuses what an older epoch appends, and writes nothing of it", async () => {
    await using server = await startRedisServer();
    const { turns } = await open(server);
    await turns.open(turn, "");
    await turns.write(turn, 1, { ...place, chunks: chunks("one", "broken"), sent: 1 });
    const { epoch, token } = await takeLate(turns);
    const late = { after: 2, sent: 3, first: 1, chunks: chunks("late") };
    expect(await turns.write(turn, 1, late)).toEqual({ state: "lost" });
    // The new owner replaces what was not sent.
    await turns.write(turn, epoch, { after: 1, sent: 2, first: 1, chunks: chunks("two") });
    expect(await turns.write(turn, 1, late)).toEqual({ state: "lost" });
    const found = await turns.follow(turn, token, 0);
    expect(found.state === "ok" && found.chunks.map(({ bytes }) => `${bytes}`)).toEqual([
      "one",
      "two",
    ]);
  });

  it("gives a reader what was sent, and not what is held back", async () => {
    await using server = await startRedisServer();
    const { turns } = await open(server);
    await turns.open(turn, "");
    await turns.write(turn, 1, { ...place, chunks: chunks("one", "two", "three"), sent: 2 });
    const attached = await turns.attach(turn, 1);
    const token = attached.state === "ok" ? attached.token : 0;
    const found = await turns.follow(turn, token, 1);
    expect(found).toMatchObject({ state: "ok", chunks: [{ sequence: 2 }], isOwned: true, end: "" });
    await turns.attach(turn, 2);
    expect(await turns.follow(turn, token, 2)).toEqual({ state: "replaced" });
    expect(await turns.attach(turn, 1)).toEqual({ state: "gone", bound: 2 });
    expect(await turns.attach(turn, 3)).toEqual({ state: "unsent", bound: 2 });
  });

  it("tells the owner of its reader, and of what the client played", async () => {
    await using server = await startRedisServer();
    const { turns } = await open(server);
    await turns.open(turn, "");
    await turns.write(turn, 1, { ...place, chunks: chunks("one", "two"), sent: 2 });
    await turns.attach(turn, 1);
    await turns.follow(turn, 2, 2);
    expect(await turns.report(turn, 480)).toBe(true);
    const renew = { after: 2, sent: 2, first: 1 };
    const view = { state: "ok", token: 2, isRead: true, taken: 2, reported: 480, first: 2 };
    expect(await turns.write(turn, 1, renew)).toEqual(view);
    await turns.detach(turn, 2);
    expect(await turns.write(turn, 1, renew)).toEqual({ ...view, isRead: false });
  });

  it("drops a device's turns up to one, and leaves a later one and other devices' alone", async () => {
    await using server = await startRedisServer();
    const { turns } = await open(server);
    const theirs = { ...turn, deviceId: "other" };
    for (const each of [turn, later, theirs]) await turns.open(each, "");
    expect(await turns.drop(turn.deviceId, turn.turnId)).toEqual([turn.turnId]);
    const states = [turn, later, theirs].map(async (each) => {
      return (await turns.write(each, 1, place)).state;
    });
    expect(await Promise.all(states)).toEqual(["interrupted", "ok", "ok"]);
    expect(await turns.attach(turn, 0)).toEqual({ state: "interrupted" });
  });

  it("lets all that it keeps expire", async () => {
    await using server = await startRedisServer();
    const { redis, turns } = await open(server);
    await turns.open(turn, "");
    await turns.write(turn, 1, { ...place, chunks: chunks("one"), sent: 1 });
    const keys = await redis.run((client) => client.keys("*"));
    const left = await redis.run((client) => Promise.all(keys.map((key) => client.pttl(key))));
    expect(keys).toHaveLength(3);
    expect(left.every((ms) => ms > 30_000 && ms <= 3_600_000)).toBe(true);
  });
});
