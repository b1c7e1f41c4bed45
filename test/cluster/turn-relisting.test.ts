import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, vi } from "vitest";
import { deviceKey } from "../../server/cluster/device-keys.ts";
import type { ActiveTurns } from "../../server/conversation/active-turns-contract.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, startRedisServer } from "../support/redis-server.ts";
import { begin, open, WAIT } from "./registered-turns.ts";

const it = itUnless(!hasRedis());

/** Longer than a command takes to Redis: a turn's place is the later by that if it is listed again. */
const LATER_MS = 1000;

/** A way to Redis, of which one connection can be lost, and whose answers can be held back. */
async function startRelay(port: number) {
  const commands = new Set<Socket>();
  let isOpen = true;
  let held: { readonly after: string; readonly answers: Buffer[]; isHeld: boolean } | undefined;
  let release = (): void => undefined;
  const server = createServer((client) => {
    const redis = connect(port, "127.0.0.1");
    for (const each of [client, redis]) each.on("error", () => undefined);
    client.on("data", (data) => {
      if (data.includes("parley-commands")) {
        if (!isOpen) return client.destroy();
        commands.add(client);
      }
      if (held && commands.has(client) && data.includes(held.after)) held.isHeld = true;
      return redis.write(data);
    });
    redis.on("data", (data) => {
      if (!held?.isHeld || !commands.has(client)) return void client.write(data);
      held.answers.push(data);
      release = () => {
        for (const answer of held?.answers.splice(0) ?? []) client.write(answer);
        held = undefined;
      };
    });
    client.on("close", () => redis.destroy());
    redis.on("close", () => client.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Loses the connection for commands, and lets none come until `open`. */
    close() {
      isOpen = false;
      for (const each of commands) each.destroy();
    },
    /** From the command on that names `after`, answers wait for `release`. */
    open(after?: string) {
      if (after !== undefined) held = { after, answers: [], isHeld: false };
      isOpen = true;
    },
    isHeld: () => (held?.answers.length ?? 0) > 0,
    release: () => release(),
  };
}

type Relay = Awaited<ReturnType<typeof startRelay>>;

/** Two instances, of which the first hears interrupts and can ask Redis for nothing. */
async function cutOff(server: { readonly port: number; readonly url: string }) {
  const relay = await startRelay(server.port);
  const [a, b] = [await open(relay.url), await open(server.url)];
  relay.close();
  await vi.waitFor(() => expect(a.redis.status().state).toBe("degraded"), WAIT);
  return { relay, a, b };
}

/** Interrupts while the answers from the command on that names `after` have not come to the first. */
async function interruptWhileHeld(relay: Relay, after: string, turns: ActiveTurns) {
  relay.open(after);
  await vi.waitFor(() => expect(relay.isHeld()).toBe(true), WAIT);
  const answer = turns.interrupt("d");
  await sleep(50);
  relay.release();
  return await answer;
}

describe("turns that are listed again", () => {
  it("are among those that an interrupt ended, if the instance learned of it before it heard it", async () => {
    await using server = await startRedisServer();
    const relay = await startRelay(server.port);
    const [a, b] = [await open(relay.url), await open(server.url)];
    const { signal } = await begin(a.turns, "d", "before");
    relay.close();
    const cut = Date.now() * 1000 + 60_000_000;
    await b.redis.run((client) => client.hset(deviceKey("d", "order"), "cut", cut));
    const listener = b.redis.connect("listener");
    const answers: unknown[] = [];
    listener.subscribe("parley:answers:asks", (answer) => answers.push(JSON.parse(answer)));
    await vi.waitFor(() => expect(listener.isOk()).toBe(true), WAIT);
    relay.open();
    await vi.waitFor(() => expect(signal.aborted).toBe(true), WAIT);
    const call = JSON.stringify({ id: "call", from: "asks", deviceId: "d" });
    await b.redis.run((client) => client.publish("parley:interrupts", `${cut} ${call}`));
    const expected = { id: "call", sessions: ["before"], sentTurns: [] };
    await vi.waitFor(() => expect(answers).toContainEqual(expected), WAIT);
  });

  it("are ended by what was interrupted after they began, though Redis could not be asked", async () => {
    await using server = await startRedisServer();
    const { relay, a, b } = await cutOff(server);
    const during = await begin(a.turns, "d", "during");
    await sleep(LATER_MS);
    // It is heard, but it cannot be told from an older one that arrives late.
    const { sessions, unacknowledged } = await b.turns.interrupt("d");
    expect({ sessions, unacknowledged }).toEqual({ sessions: [], unacknowledged: 1 });
    const later = await begin(a.turns, "d", "later");
    relay.open();
    await vi.waitFor(() => expect(during.signal.aborted).toBe(true), WAIT);
    await vi.waitFor(async () => {
      expect(await b.turns.list({ deviceId: "d" })).toMatchObject([{ sessionId: "later" }]);
    }, WAIT);
    expect(later.signal.aborted).toBe(false);
  });

  it("are spared where Redis' clock was set back, and the time tells no order", async () => {
    await using server = await startRedisServer();
    const { relay, a, b } = await cutOff(server);
    const { signal } = await begin(a.turns, "d", "during");
    const future = Date.now() * 1000 + 60_000_000;
    const known = { last: future, cut: future };
    await b.redis.run((client) => client.hset(deviceKey("d", "order"), known));
    relay.open();
    await vi.waitFor(async () => {
      expect(await b.turns.list({ deviceId: "d" })).toMatchObject([{ sessionId: "during" }]);
    }, WAIT);
    expect(signal.aborted).toBe(false);
  });

  it("are ended by an interrupt that is heard before they are listed, which names them", async () => {
    await using server = await startRedisServer();
    const { relay, a, b } = await cutOff(server);
    const { signal } = await begin(a.turns, "d", "during");
    await sleep(LATER_MS);
    // What comes first says that this instance is there.
    const answer = await interruptWhileHeld(relay, "parley:instances", b.turns);
    expect(answer).toEqual({ sessions: ["during"], sentTurns: [], unacknowledged: 0 });
    expect(signal.aborted).toBe(true);
  });

  it("are ended by an interrupt that is heard before their places are known", async () => {
    await using server = await startRedisServer();
    const { relay, a, b } = await cutOff(server);
    const { signal, turnId } = await begin(a.turns, "d", "during");
    const answer = await interruptWhileHeld(relay, turnId, b.turns);
    expect(answer).toEqual({ sessions: ["during"], sentTurns: [], unacknowledged: 0 });
    expect(signal.aborted).toBe(true);
  });
});
