import { describe, expect, it } from "vitest";
import { ProviderError } from "../core/errors.ts";
import { outcomeRules, type ProviderErrorKind } from "../core/outcomes.ts";
import { createBreaker } from "./breaker.ts";

function setUp(failures = 3) {
  const clock = { ms: 1000 };
  const breaker = createBreaker({ failures, cooldownMs: 30_000, now: () => clock.ms });
  const fail = (kind: ProviderErrorKind = "server", retryAfterMs?: number) => {
    const call = breaker.admit();
    expect(call).toBeDefined();
    call?.fail(error(kind, retryAfterMs));
  };
  return { clock, breaker, fail };
}

const error = (kind: ProviderErrorKind, retryAfterMs?: number) =>
  new ProviderError("p", kind, "failed", { ...(retryAfterMs && { retryAfterMs }) });

describe("createBreaker", () => {
  it("opens after failures in a row, and a success between them starts the count anew", () => {
    const { breaker, fail } = setUp();
    fail();
    fail();
    breaker.admit()?.succeed();
    fail();
    fail();
    expect(breaker.state()).toBe("CLOSED");
    fail();
    expect(breaker.state()).toBe("OPEN");
    expect(breaker.admit()).toBeUndefined();
  });

  it("lets one call through after the cooldown, and closes if that succeeds", () => {
    const { breaker, clock, fail } = setUp(1);
    fail();
    clock.ms += 29_999;
    expect(breaker.admit()).toBeUndefined();
    expect(breaker.cooldownLeftMs()).toBe(1);
    clock.ms += 1;
    expect(breaker.state()).toBe("HALF_OPEN");
    const probe = breaker.admit();
    expect(breaker.admit()).toBeUndefined();
    probe?.succeed();
    expect(breaker.state()).toBe("CLOSED");
  });

  it("opens again if the probe fails, and stays half open if it was cancelled", () => {
    const { breaker, clock, fail } = setUp(3);
    fail();
    fail();
    fail();
    clock.ms += 30_000;
    fail();
    expect(breaker.state()).toBe("OPEN");
    clock.ms += 30_000;
    breaker.admit()?.forget();
    expect(breaker.state()).toBe("HALF_OPEN");
    expect(breaker.admit()).toBeDefined();
  });

  it("admits no second probe when a call ends that began before the circuit opened", () => {
    const { breaker, clock, fail } = setUp(1);
    const stale = [breaker.admit(), breaker.admit(), breaker.admit()];
    fail();
    clock.ms += 30_000;
    const probe = breaker.admit();
    stale[0]?.fail(error("server"));
    stale[1]?.forget();
    stale[2]?.succeed();
    expect(breaker.state()).toBe("HALF_OPEN");
    expect(breaker.admit()).toBeUndefined();
    probe?.succeed();
    expect(breaker.state()).toBe("CLOSED");
  });

  it("stays open for as long as the provider asked, though an earlier call succeeds", () => {
    const { breaker, fail } = setUp();
    const earlier = breaker.admit();
    fail("rate_limit", 60_000);
    earlier?.succeed();
    expect(breaker.cooldownLeftMs()).toBe(60_000);
  });

  it("stays open for the longest time that any call was told", () => {
    const { breaker, fail } = setUp();
    const earlier = breaker.admit();
    fail("rate_limit", 1000);
    earlier?.fail(error("rate_limit", 60_000));
    expect(breaker.cooldownLeftMs()).toBe(60_000);
  });

  it("opens at once on a rate limit, for as long as the provider asked, 5 min at most", () => {
    const { breaker, clock, fail } = setUp();
    fail("rate_limit", 7000);
    expect(breaker.cooldownLeftMs()).toBe(7000);
    clock.ms += 7000;
    expect(breaker.state()).toBe("HALF_OPEN");
    fail("rate_limit", 24 * 3_600_000);
    expect(breaker.cooldownLeftMs()).toBe(300_000);
  });

  it.each(Object.entries(outcomeRules))(
    "does on %s what the table says",
    (name, { breaker: rule }) => {
      const kind = name as ProviderErrorKind;
      const { breaker, fail } = setUp(2);
      fail();
      fail(kind);
      const isOpen = rule === "opens" || rule === "counts";
      expect(breaker.state()).toBe(isOpen ? "OPEN" : "CLOSED");
      if (isOpen) return;
      // What it ignores leaves the count, and a success starts it anew.
      fail();
      expect(breaker.state()).toBe(rule === "success" ? "CLOSED" : "OPEN");
    },
  );
});
