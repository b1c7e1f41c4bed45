import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { localCaller } from "../auth/caller.ts";
import { LimitExceeded } from "../core/errors.ts";
import { readBody } from "./speak-fields.ts";
import { createTickets } from "./speak-tickets.ts";

const request = readBody('{"prompt":"p","hardware_id":"d"}', localCaller);
const withPrompt = (length: number) =>
  readBody(JSON.stringify({ prompt: "p".repeat(length), hardware_id: "d" }), localCaller);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("createTickets", () => {
  it("gives a request back once", () => {
    const tickets = createTickets();
    const ticket = tickets.issue(request);
    expect(ticket).toMatch(/^[\w-]{22}$/);
    expect(tickets.peek(ticket)).toBe(request);
    expect(tickets.redeem(ticket)).toBe(request);
    expect(tickets.redeem(ticket)).toBeUndefined();
    expect(tickets.peek(ticket)).toBeUndefined();
  });

  it("never issues one twice", () => {
    const tickets = createTickets();
    const all = Array.from({ length: 1000 }, () => tickets.issue(request));
    expect(new Set(all).size).toBe(1000);
  });

  it("forgets a ticket after 60 s", () => {
    const tickets = createTickets();
    const [used, old] = [tickets.issue(request), tickets.issue(request)];
    vi.advanceTimersByTime(59_999);
    expect(tickets.redeem(used)).toBe(request);
    vi.advanceTimersByTime(1);
    expect(tickets.redeem(old)).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("holds 1,024 at most, and takes more as soon as one is used or old", () => {
    const tickets = createTickets();
    const first = tickets.issue(request);
    for (let count = 1; count < 1024; count++) tickets.issue(request);
    expect(() => tickets.issue(request)).toThrow(LimitExceeded);
    tickets.redeem(first);
    tickets.issue(request);
    expect(() => tickets.issue(request)).toThrow(LimitExceeded);
    vi.advanceTimersByTime(60_000);
    tickets.issue(request);
  });

  it("holds 16 Mi characters of prompts at most", () => {
    const tickets = createTickets();
    const long = withPrompt(64 * 1024);
    for (let count = 0; count < 256; count++) tickets.issue(long);
    expect(() => tickets.issue(request)).toThrow(LimitExceeded);
    vi.advanceTimersByTime(60_000);
    tickets.issue(request);
  });
});
