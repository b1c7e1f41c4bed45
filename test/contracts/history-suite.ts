import { afterAll, describe, expect, it } from "vitest";
import type { History } from "../../server/conversation/history.ts";
import type { TurnState } from "../../server/storage/records.ts";

/** A history under test, and how it is given back. */
export type OpenHistory = {
  readonly history: History;
  /** Forgets what is kept in this process alone, as a restart does. Absent where that is all. */
  readonly restart?: () => Promise<History>;
  readonly close?: () => Promise<void>;
};

const HALF_AN_HOUR_MS = 30 * 60_000;

/** Runs the tests of every history. `open` makes one whose clock is `now`, in milliseconds. */
export function historySuite(
  name: string,
  open: (now: () => number) => OpenHistory | Promise<OpenHistory>,
): void {
  describe(name, () => {
    const clock = { passedMs: 0 };
    const opened = Promise.resolve(open(() => Date.now() + clock.passedMs));
    afterAll(async () => (await opened).close?.());
    let tests = 0;
    const id = () => `${name} ${++tests}`;

    const state = (reply: string, more: Partial<TurnState> = {}): TurnState => ({
      reply,
      status: "done",
      sentSamples: 4800,
      tiers: ["offline"],
      ...more,
    });
    const begin = async (deviceId: string, sessionId: string, prompt?: string, turnId = id()) =>
      (await opened).history.begin({
        deviceId,
        sessionId,
        id: turnId,
        ...(prompt !== undefined && { prompt }),
      });
    const say = async (deviceId: string, sessionId: string, prompt: string) =>
      (await begin(deviceId, sessionId, prompt)).write(state(`${prompt}!`));
    /** What was said, as this process knows it and as it is known after a restart. */
    const recallBoth = async (deviceId: string, sessionId: string) => {
      const { history, restart } = await opened;
      const first = await history.recall({ deviceId, sessionId });
      if (restart) {
        const again = await (await restart()).recall({ deviceId, sessionId });
        expect(again).toEqual(first);
      }
      return first;
    };
    const words = async (deviceId: string, sessionId: string) =>
      (await recallBoth(deviceId, sessionId)).map(({ user, assistant }) => [user, assistant]);

    it("recalls a session's turns, oldest first, and no other's", async () => {
      const device = id();
      for (const prompt of ["one", "two"]) await say(device, "s", prompt);
      await say(device, "another", "three");
      expect(await words(device, "s")).toEqual([
        ["one", "one!"],
        ["two", "two!"],
      ]);
      expect(await words(device, "another")).toEqual([["three", "three!"]]);
      expect(await words(device, "none")).toEqual([]);
    });

    it("keeps devices apart that name the same session and the same turn", async () => {
      const [a, b] = [id(), id()];
      for (const device of [a, b]) {
        await (await begin(device, "same", `of ${device}`, "t")).write(state("Yes."));
      }
      expect(await words(a, "same")).toEqual([[`of ${a}`, "Yes."]]);
      expect(await words(b, "same")).toEqual([[`of ${b}`, "Yes."]]);
    });

    it("recalls a turn as it was heard, marked as interrupted, and as the last write has it", async () => {
      const device = id();
      const turn = await begin(device, "s", "count", "t");
      await turn.write(state("One two three."));
      expect(await words(device, "s")).toEqual([["count", "One two three."]]);
      await turn.write(state("One two three.", { heard: "One two ", status: "interrupted" }));
      expect(await recallBoth(device, "s")).toEqual([
        { user: "count", assistant: "One two [interrupted]", turnId: "t", interrupted: true },
      ]);
      await turn.write(state("One two three.", { heard: "", status: "interrupted" }));
      expect(await words(device, "s")).toEqual([["count", "[interrupted]"]]);
    });

    it("orders turns as they began, however they end, and takes a late write for its own turn", async () => {
      const device = id();
      const first = await begin(device, "s", "first");
      const second = await begin(device, "s", "second");
      await second.write(state("2"));
      await first.write(state("1"));
      await say(device, "s", "third");
      await first.write(state("1", { heard: "" }));
      expect((await words(device, "s")).map(([user]) => user)).toEqual([
        "first",
        "second",
        "third",
      ]);
    });

    it("recalls no turn that runs, that has no reply, or that was spoken as it stands", async () => {
      const device = id();
      await (await begin(device, "s", "runs")).write(state("So far", { status: "running" }));
      await (await begin(device, "s", "failed")).write(state("", { status: "failed" }));
      await (await begin(device, "s")).write(state("Good morning."));
      expect(await words(device, "s")).toEqual([]);
    });

    it("recalls the latest 20 turns", async () => {
      const device = id();
      for (let turn = 0; turn < 23; turn++) await say(device, "s", `p${turn}`);
      const users = (await words(device, "s")).map(([user]) => user);
      expect(users).toEqual(Array.from({ length: 20 }, (_, index) => `p${index + 3}`));
    });

    it("forgets a session that rested for half an hour", async () => {
      const device = id();
      await say(device, "s", "one");
      clock.passedMs += HALF_AN_HOUR_MS - 60_000;
      expect(await words(device, "s")).toHaveLength(1);
      clock.passedMs += 60_000;
      expect(await words(device, "s")).toEqual([]);
      clock.passedMs = 0;
    });
  });
}
