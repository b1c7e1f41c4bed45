import { describe, expect, it } from "vitest";
import { createHistory } from "./history.ts";

const said = (user: string) => ({ user, assistant: `You said ${user}.` });

describe("createHistory", () => {
  it("recalls a conversation's turns, oldest first, and no other's", () => {
    const history = createHistory();
    history.record({ deviceId: "a" }, said("one"));
    history.record({ deviceId: "a" }, said("two"));
    history.record({ deviceId: "a", conversationId: "s" }, said("three"));
    history.record({ deviceId: "b", conversationId: "s" }, said("four"));
    expect(history.recall({ deviceId: "a" }).map(({ user }) => user)).toEqual(["one", "two"]);
    expect(history.recall({ deviceId: "a", conversationId: "s" })).toEqual([said("three")]);
    expect(history.recall({ deviceId: "c" })).toEqual([]);
  });

  it("keeps nothing of a talker without a device, nor a turn without a reply", () => {
    const history = createHistory();
    history.record({}, said("one"));
    history.record({ deviceId: "a" }, { user: "two", assistant: "" });
    expect([history.recall({}), history.recall({ deviceId: "a" })]).toEqual([[], []]);
  });

  it("keeps the latest turns, and the conversations touched last", () => {
    const history = createHistory({ maxMessagePairs: 2, maxConversations: 2 });
    for (const words of ["one", "two", "three"]) history.record({ deviceId: "a" }, said(words));
    expect(history.recall({ deviceId: "a" }).map(({ user }) => user)).toEqual(["two", "three"]);
    history.record({ deviceId: "b" }, said("x"));
    history.record({ deviceId: "a" }, said("four"));
    history.record({ deviceId: "c" }, said("y"));
    expect(history.recall({ deviceId: "b" })).toEqual([]);
    expect(history.recall({ deviceId: "a" })).toHaveLength(2);
  });

  it("begins anew after a rest", () => {
    const clock = { ms: 0 };
    const history = createHistory({ restMs: 1000, now: () => clock.ms });
    history.record({ deviceId: "a" }, said("one"));
    clock.ms = 1000;
    expect(history.recall({ deviceId: "a" })).toEqual([]);
    history.record({ deviceId: "a" }, said("two"));
    expect(history.recall({ deviceId: "a" })).toEqual([said("two")]);
  });
});
