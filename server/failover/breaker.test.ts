import { describe, expect, it } from "vitest";
import { ProviderError, type ProviderErrorKind } from "../core/errors.ts";
import { createBreaker } from "./tier.ts";

function setUp(failures = 3) {
  const clock = { ms: 1000 };
  const breaker = createBreaker({ failures, cooldownMs: 30_000, now: () => clock.ms });
  const fail = (fault: ProviderErrorKind = "server", retryAfterMs?: number) => {
    expect(breaker.admit()).toBe(true);
    breaker.fail(
      new ProviderError("p", fault, "failed", { ...(retryAfterMs && { retryAfterMs }) }),
    );
  };
  return { clock, breaker, fail };
}

describe("createBreaker", () => {
  it("opens after failures in a row, and a success between them starts the count anew", () => {
    const { breaker, fail } = setUp();
    fail();
    fail();
    breaker.admit();
    breaker.succeed();
    fail();
    fail();
    expect(breaker.state()).toBe("CLOSED");
    fail();
    expect(breaker.state()).toBe("OPEN");
    expect(breaker.admit()).toBe(false);
  });

  it("lets one call through after the cooldown, and closes if that succeeds", () => {
    const { breaker, clock, fail } = setUp(1);
    fail();
    clock.ms += 29_999;
    expect(breaker.admit()).toBe(false);
    expect(breaker.cooldownLeftMs()).toBe(1);
    clock.ms += 1;
    expect(breaker.state()).toBe("HALF_OPEN");
    expect([breaker.admit(), breaker.admit()]).toEqual([true, false]);
    breaker.succeed();
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
    expect(breaker.admit()).toBe(true);
    breaker.forget();
    expect(breaker.state()).toBe("HALF_OPEN");
    expect(breaker.admit()).toBe(true);
  });

  it("opens at once on a rate limit, for as long as the provider asked", () => {
    const { breaker, clock, fail } = setUp();
    fail("rate_limit", 7000);
    expect(breaker.cooldownLeftMs()).toBe(7000);
    clock.ms += 7000;
    expect(breaker.state()).toBe("HALF_OPEN");
  });

  it.each<ProviderErrorKind>(["authentication", "authorization", "quota"])(
    "opens at once on %s",
    (fault) => {
      const { breaker, fail } = setUp();
      fail(fault);
      expect(breaker.state()).toBe("OPEN");
    },
  );

  it.each<ProviderErrorKind>(["invalid_request", "unsupported"])("does not count %s", (fault) => {
    const { breaker, fail } = setUp(1);
    fail(fault);
    expect(breaker.state()).toBe("CLOSED");
  });
});
