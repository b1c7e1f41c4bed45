import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, it, vi } from "vitest";
import type { ActiveTurns, Cut } from "../../server/conversation/active-turns-contract.ts";
import type { TurnLimits } from "../../server/conversation/turn-limits.ts";
import { TurnCancelled } from "../../server/core/async.ts";
import { LimitExceeded } from "../../server/core/errors.ts";

/** Instances that act as one, and how they are given back. Those of one process are two times the same. */
export type OpenTurns = {
  readonly instances: readonly [ActiveTurns, ActiveTurns];
  readonly close?: () => Promise<void>;
};

/** An end reaches other instances a moment later. */
const soon = <Value>(run: () => Promise<Value>): Promise<Value> =>
  vi.waitFor(run, { timeout: 2000, interval: 5 });

const limits = { maxTurns: 6, maxTurnsPerDevice: 3, maxTurnsPerConnection: 100, maxTurnMs: 30_000 };

/** Runs the tests of every list of active turns: the registry of turns, and the limits. */
export function activeTurnsSuite(
  name: string,
  open: (limits: TurnLimits) => Promise<OpenTurns>,
): void {
  describe(name, () => {
    const opened = open(limits);
    afterAll(async () => (await opened).close?.());

    const begin = async (turns: ActiveTurns, turn: Parameters<ActiveTurns["begin"]>[0]) => {
      const begun = turns.begin(turn, new AbortController().signal);
      const sessionId = begun.admitted ? await begun.admitted : turn.sessionId;
      return { ...begun, sessionId };
    };
    const both = async () => (await opened).instances;
    const reasonOf = ({ signal }: { readonly signal: AbortSignal }) =>
      signal.reason instanceof TurnCancelled ? signal.reason.reason : undefined;

    it("lists the turns of a device by session and id, until they end", async () => {
      const [a, b] = await both();
      const deviceId = randomUUID();
      const [one, two] = [randomUUID(), randomUUID()];
      const first = await begin(a, { deviceId, sessionId: "s1", turnId: one });
      const second = await begin(b, { deviceId, sessionId: "s2", turnId: two.toUpperCase() });
      const other = await begin(b, { deviceId: randomUUID(), sessionId: "s1", turnId: one });
      for (const turns of [a, b]) {
        const list = (query = {}) => turns.list({ deviceId, ...query });
        const all = [
          { turnId: one, sessionId: "s1" },
          { turnId: two, sessionId: "s2" },
        ];
        expect(await list()).toEqual(all);
        expect(await list({ sessionId: "s2" })).toEqual(all.slice(1));
        expect(await list({ turnId: one.toUpperCase() })).toEqual(all.slice(0, 1));
        expect(await list({ turnId: one, sessionId: "s2" })).toEqual([]);
      }
      for (const turn of [first, second, other]) turn.end();
      for (const turns of [a, b]) {
        await soon(async () => expect(await turns.list({ deviceId })).toEqual([]));
      }
    });

    it("admits so many turns of a device, and another as soon as one has ended", async () => {
      const [a, b] = await both();
      const deviceId = randomUUID();
      const one = (turns: ActiveTurns) =>
        begin(turns, { deviceId, sessionId: "s", turnId: randomUUID() });
      const begun = [await one(a), await one(b), await one(a)];
      for (const turns of [a, b]) {
        const error = await one(turns).catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(LimitExceeded);
        expect(error).toMatchObject({
          message: "this hardware_id runs 3 streams already, the most it may",
          retryAfterMs: 2000,
        });
      }
      begun[1]?.end();
      begun.push(await soon(() => one(a)));
      await expect(one(b)).rejects.toThrow(LimitExceeded);
      for (const turn of begun) turn.end();
      (await soon(() => one(b))).end();
    });

    it("admits so many turns in all, with and without a device", async () => {
      const [a, b] = await both();
      const one = (turns: ActiveTurns, named = true) =>
        begin(turns, {
          sessionId: "s",
          turnId: randomUUID(),
          ...(named && { deviceId: randomUUID() }),
        });
      const begun = [];
      for (const turns of [a, b, a, b, a]) begun.push(await one(turns));
      begun.push(await one(b, false));
      for (const turns of [a, b]) {
        await expect(one(turns, false)).rejects.toThrow(/busy; retry in 2 s/);
        await expect(one(turns)).rejects.toThrow(LimitExceeded);
      }
      begun[0]?.end();
      begun.push(await soon(() => one(b)));
      for (const turn of begun) turn.end();
      (await soon(() => one(b))).end();
    });

    it("interrupts a turn of which it is not yet known whether it runs here", async () => {
      const [, b] = await both();
      const deviceId = randomUUID();
      const untilOwned = () => new Promise<void>(() => undefined);
      const turn = { deviceId, sessionId: "s", turnId: randomUUID(), untilOwned };
      const { admitted } = b.begin(turn, new AbortController().signal);
      const refused = expect(admitted).rejects.toMatchObject({ reason: "interrupted" });
      expect((await b.interrupt(deviceId)).sessions).toEqual(["s"]);
      await refused;
      expect(await b.list({ deviceId })).toEqual([]);
    });

    it("ends a turn that does not run here, and admits its id again", async () => {
      const [a, b] = await both();
      const deviceId = randomUUID();
      const turn = { deviceId, sessionId: "s", turnId: randomUUID() };
      const untilOwned = () => Promise.reject(new TurnCancelled("disconnected"));
      const { admitted } = b.begin({ ...turn, untilOwned }, new AbortController().signal);
      await expect(admitted).rejects.toMatchObject({ reason: "disconnected" });
      expect(await a.list({ deviceId })).toEqual([]);
      (await begin(b, turn)).end();
    });

    it("interrupts all turns of a device, names their sessions once, and spares later ones", async () => {
      const [a, b] = await both();
      const deviceId = randomUUID();
      const run = (turns: ActiveTurns, sessionId: string, of = deviceId) =>
        begin(turns, { deviceId: of, sessionId, turnId: randomUUID() });
      const turns = [await run(a, "s1"), await run(b, "s2"), await run(b, "s1")];
      const other = await run(b, "s9", randomUUID());
      const answer = await a.interrupt(deviceId);
      expect({ ...answer, sessions: [...answer.sessions].sort() }).toEqual({
        sessions: ["s1", "s2"],
        sentTurns: [],
        unacknowledged: 0,
      });
      expect(turns.map(reasonOf)).toEqual(["interrupted", "interrupted", "interrupted"]);
      expect(other.signal.aborted).toBe(false);
      const later = await run(b, "s3");
      expect((await a.interrupt(randomUUID())).sessions).toEqual([]);
      expect(later.signal.aborted).toBe(false);
      expect((await b.interrupt(deviceId)).sessions).toEqual(["s3"]);
      other.end();
    });

    it("interrupts up to the turn that is named, wherever it runs, and no later one", async () => {
      const [a, b] = await both();
      const deviceId = randomUUID();
      const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
      const run = (turns: ActiveTurns, at: 0 | 1 | 2) =>
        begin(turns, { deviceId, sessionId: `s${at}`, turnId: ids[at] });
      const turns = [await run(a, 0), await run(b, 1), await run(a, 2)];
      const { sessions } = await a.interrupt(deviceId, ids[1].toUpperCase());
      expect([...sessions].sort()).toEqual(["s0", "s1"]);
      expect(turns.map(({ signal }) => signal.aborted)).toEqual([true, true, false]);
      expect((await b.interrupt(deviceId, ids[2])).sessions).toEqual(["s2"]);
    });

    it("refuses a turn that was interrupted before it came, wherever it comes", async () => {
      const [a, b] = await both();
      const deviceId = randomUUID();
      const turnId = randomUUID();
      const running = await begin(b, { deviceId, sessionId: "s", turnId: randomUUID() });
      expect((await a.interrupt(deviceId, turnId)).sessions).toEqual([]);
      const late = begin(b, { deviceId, sessionId: "s", turnId });
      await expect(late).rejects.toMatchObject({ reason: "interrupted" });
      expect(running.signal.aborted).toBe(false);
      running.end();
    });

    it("names turns that were sent and still play, and tells what else it means", async () => {
      const [a, b] = await both();
      const deviceId = randomUUID();
      const [sent, next] = [randomUUID(), randomUUID()];
      const cuts: Cut[] = [];
      for (const turns of new Set([a, b])) {
        turns.onInterrupt((cut) => cuts.push(cut));
      }
      const turn = await begin(b, { deviceId, sessionId: "s", turnId: sent });
      let wasCut = false;
      turn.follow({
        bytes: () => 1,
        hasBegun: () => true,
        isPlaying: () => !wasCut,
        cut: () => {
          wasCut = true;
        },
        report: async () => undefined,
      });
      turn.end();
      const collected = b.mark(deviceId);
      const answer = await a.interrupt(deviceId);
      expect(answer).toEqual({ sessions: [], sentTurns: [sent], unacknowledged: 0 });
      const later = await begin(b, { deviceId, sessionId: "s", turnId: next });
      expect(cuts.every(({ meansAll }) => meansAll)).toBe(true);
      expect(cuts.some((cut) => cut.includes(sent) && cut.last >= collected)).toBe(true);
      // That of the process in which it runs, which knows it.
      expect(cuts.at(-1)?.includes(next)).toBe(false);
      later.end();
    });

    it("lets a device begin again at once after an interrupt", async () => {
      const [a, b] = await both();
      const deviceId = randomUUID();
      const run = (turns: ActiveTurns) =>
        begin(turns, { deviceId, sessionId: "s", turnId: randomUUID() });
      await Promise.all([run(a), run(b), run(a)]);
      await b.interrupt(deviceId);
      const again = await Promise.all([run(a), run(b), run(a)]);
      expect(again.map(({ signal }) => signal.aborted)).toEqual([false, false, false]);
      for (const turn of again) turn.end();
    });
  });
}
