import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, vi } from "vitest";
import { createRedis } from "../../server/cluster/redis.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis } from "../support/redis-server.ts";
import { stallProcess } from "../support/stall.ts";
import {
  type Instance,
  type InterruptAnswer,
  startTwoGateways,
  type TwoGateways,
} from "./two-gateways.ts";

// Two real processes and a real Redis, which the second reaches through a proxy that can break.

const isMissing = !hasRedis();
const it = itUnless(isMissing);

const WAIT = { timeout: 10_000, interval: 10 };
const interrupted = { code: Code.Canceled, reason: "interrupted" };
/** The wait for the others, and what a busy machine adds. */
const SOON_MS = 250 + 250;
/** Less than the wait for the others. */
const AT_ONCE_MS = 200;
/** By then clients have read what a turn sends ahead at its begin. */
const BEGUN_MS = 200;

let gateways: TwoGateways;
let device: string;
beforeAll(async () => {
  if (!isMissing) gateways = await startTwoGateways();
});
afterAll(async () => {
  await gateways?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  device = randomUUID();
  await gateways?.untilOk();
});
afterEach(async () => {
  gateways?.proxy.delay(0);
  gateways?.redis.resume();
  gateways?.b.process.kill("SIGCONT");
});

/** Tries again if a busy machine let no time for an answer. */
async function untilAllAnswer(run: () => Promise<InterruptAnswer>): Promise<InterruptAnswer> {
  for (let tries = 1; ; tries++) {
    const answer = await run();
    if (answer.unacknowledged === 0 || tries === 8) return answer;
  }
}

/** The quickest of some interrupts that the other gateway cannot hear. Other programs may hold up some. */
async function quickestAtHome(gateway: Instance): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const name = randomUUID();
    const turn = await gateway.turn(name, "own");
    const answer = await gateway.interrupt(name);
    expect(answer).toMatchObject({ sessions: ["own"], unacknowledged: 1 });
    expect(await turn.ended).toEqual(interrupted);
    times.push(answer.tookMs);
  }
  return Math.min(...times);
}

describe("InterruptSession of two gateways", () => {
  it("ends the device's turns on both, names their sessions, and lets nothing follow", async () => {
    const { a, b } = gateways;
    const other = await b.turn(randomUUID(), "other");
    const answer = await untilAllAnswer(async () => {
      const turns = [await a.turn(device, "here"), await b.turn(device, "there")];
      await sleep(BEGUN_MS);
      const answer = await a.interrupt(device);
      const atAnswer = turns.map((turn) => turn.messages());
      for (const turn of turns) expect(await turn.ended).toEqual(interrupted);
      // A message may have been on its way.
      const more = turns.map((turn, at) => turn.messages() - (atAnswer[at] ?? 0));
      if (answer.unacknowledged === 0) expect(Math.max(...more)).toBeLessThanOrEqual(1);
      return answer;
    });
    expect(answer.sessions).toEqual(["here", "there"]);
    expect(other.ending()).toBeUndefined();
    other.leave();
    const again = await b.turn(device, "again");
    expect((await b.interrupt(device)).sessions).toEqual(["again"]);
    expect(await again.ended).toEqual(interrupted);
  });

  it("ends the turn that is named and those before it, though another gateway runs them", async () => {
    const { a, b } = gateways;
    const answer = await untilAllAnswer(async () => {
      const first = await a.turn(device, "s1");
      const second = await b.turn(device, "s2");
      const third = await a.turn(device, "s3");
      const answer = await a.interrupt(device, second.turnId);
      for (const turn of [first, second]) expect(await turn.ended).toEqual(interrupted);
      expect(third.ending()).toBeUndefined();
      third.leave();
      return answer;
    });
    expect([...answer.sessions].sort()).toEqual(["s1", "s2"]);
  });

  it("says that a gateway answers late, after 250 ms, and its turn ends all the same", async () => {
    const { a, b, proxy } = gateways;
    const turn = await b.turn(device, "late");
    proxy.delay(180);
    const answer = await a.interrupt(device);
    expect(answer).toMatchObject({ sessions: [], unacknowledged: 1 });
    expect(answer.tookMs).toBeGreaterThan(200);
    expect(answer.tookMs).toBeLessThan(SOON_MS);
    expect(await turn.ended).toEqual(interrupted);
  });

  it("says that a gateway is cut off, and ends its turns once it hears again", async () => {
    const { a, b, proxy } = gateways;
    const turn = await b.turn(device, "lost");
    proxy.delay(Number.POSITIVE_INFINITY);
    const answer = await a.interrupt(device);
    expect(answer).toMatchObject({ sessions: [], unacknowledged: 1 });
    expect(answer.tookMs).toBeLessThan(SOON_MS);
    await vi.waitFor(async () => {
      expect((await b.status()).redis).toMatchObject({ state: "degraded", lastError: "timeout" });
    }, WAIT);
    expect((await a.status()).redis.state).toBe("ok");
    expect(turn.ending()).toBeUndefined();
    // It is interrupted at home meanwhile as quickly as ever.
    expect(await quickestAtHome(b)).toBeLessThan(AT_ONCE_MS);
    const later = await b.turn(device, "later");
    proxy.delay(0);
    expect(await turn.ended).toEqual(interrupted);
    await gateways.untilOk();
    expect(later.ending()).toBeUndefined();
    later.leave();
  });

  it("waits for a gateway that is stopped for 250 ms, which ends its turns when it goes on", async () => {
    const { a, b } = gateways;
    const turn = await b.turn(device, "stopped");
    stallProcess(b.process.pid);
    const answer = await a.interrupt(device);
    expect(answer).toMatchObject({ sessions: [], unacknowledged: 1 });
    expect(answer.tookMs).toBeLessThan(SOON_MS);
    b.process.kill("SIGCONT");
    expect(await turn.ended).toEqual(interrupted);
  });

  it("spares a turn that begins before the interrupt arrives where it runs, 50 times of 50", async () => {
    const { a, b, proxy, redis } = gateways;
    const witness = createRedis({ url: redis.url, logger: createLogger("silent") });
    const ears = witness.connect("ears");
    let heard = () => undefined as unknown;
    ears.subscribe("parley:interrupts", () => heard());
    await witness.start();
    proxy.delay(10);
    for (let round = 0; round < 50; round++) {
      const name = randomUUID();
      const isSent = new Promise<void>((resolve) => {
        heard = resolve;
      });
      const answer = a.interrupt(name);
      await isSent;
      // The interrupt is on its way to the other gateway.
      const turn = await b.turn(name, "spared");
      const { sessions } = await answer;
      expect(sessions).toEqual([]);
      await sleep(5);
      expect(turn.ending()).toBeUndefined();
      turn.leave();
    }
    await witness.stop();
  });

  it("works at home while Redis is stalled, and everywhere again when it goes on", async () => {
    const { a, b, redis } = gateways;
    const [here, there] = [await a.turn(device, "here"), await b.turn(device, "there")];
    redis.stall();
    const answer = await a.interrupt(device);
    expect(answer).toMatchObject({ sessions: ["here"], unacknowledged: 1 });
    expect(answer.tookMs).toBeLessThan(SOON_MS);
    expect(await here.ended).toEqual(interrupted);
    // From the second on nobody waits.
    expect(await quickestAtHome(a)).toBeLessThan(AT_ONCE_MS);
    await vi.waitFor(async () => {
      for (const gateway of [a, b]) {
        expect((await gateway.status()).redis).toMatchObject({ enabled: true, state: "degraded" });
      }
    }, WAIT);
    redis.resume();
    await gateways.untilOk();
    there.leave();
    const again = await b.turn(device, "again");
    await a.interrupt(device);
    expect(await again.ended).toEqual(interrupted);
  });

  it("works at home while Redis is gone, and heals when it is back with nothing", async () => {
    const { a, b, redis } = gateways;
    const turn = await b.turn(device, "there");
    await redis.kill();
    await vi.waitFor(async () => {
      expect((await a.status()).redis.lastError).toBe("unreachable");
    }, WAIT);
    const quickestMs = await quickestAtHome(a).finally(redis.restart);
    expect(quickestMs).toBeLessThan(AT_ONCE_MS);
    await gateways.untilOk();
    expect(turn.ending()).toBeUndefined();
    await a.interrupt(device);
    expect(await turn.ended).toEqual(interrupted);
  });

  it("does not wait for a gateway that was killed, and says that it did not answer", async () => {
    const { a, b } = gateways;
    const turn = await b.turn(device, "killed");
    b.process.kill("SIGKILL");
    await turn.ended;
    const own = await a.turn(device, "own");
    const answer = await a.interrupt(device);
    expect(answer).toMatchObject({ sessions: ["own"], unacknowledged: 1 });
    expect(answer.tookMs).toBeLessThan(SOON_MS);
    expect(await own.ended).toEqual(interrupted);
    expect((await a.turn(device, "next")).ending()).toBeUndefined();
  });
});
