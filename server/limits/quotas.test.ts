import { describe, expect, it } from "vitest";
import { LimitExceeded } from "../core/errors.ts";
import { createQuotas, type QuotaOptions } from "./quotas.ts";

const RATE = 48_000;
const HOUR_MS = 3_600_000;
const { signal } = new AbortController();

function open(options: Partial<QuotaOptions> = {}) {
  const clock = { nowMs: 20_000 * 24 * HOUR_MS + 18 * HOUR_MS };
  const reads: [string, number][] = [];
  const quotas = createQuotas({
    audioSeconds: 10,
    tokens: 0,
    isShared: false,
    now: () => clock.nowMs,
    ...options,
    readUsed(...args) {
      reads.push(args);
      return options.readUsed?.(...args);
    },
  });
  return { quotas, clock, reads };
}

/** The limit that is met; undefined if none is. */
async function limitOf(call: () => unknown) {
  try {
    await call();
    return undefined;
  } catch (error) {
    if (!(error instanceof LimitExceeded)) throw error;
    return error.limit;
  }
}

describe("createQuotas", () => {
  it("refuses a device that got its seconds of sound, and no other", async () => {
    const { quotas } = open();
    quotas.addSound("a", 9 * RATE);
    expect(await limitOf(() => quotas.check("a"))).toBeUndefined();
    quotas.addSound("a", RATE);
    expect(await limitOf(() => quotas.check("a"))).toBe("audio_quota");
    expect(await limitOf(() => quotas.check("b"))).toBeUndefined();
  });

  it("refuses a device that spent its tokens", async () => {
    const { quotas } = open({ tokens: 100 });
    quotas.addTokens("a", 100);
    expect(await limitOf(() => quotas.check("a"))).toBe("token_quota");
  });

  it("says that the next day begins at midnight, and begins it then", async () => {
    const { quotas, clock } = open();
    quotas.addSound("a", 10 * RATE);
    expect(() => quotas.check("a")).toThrow(
      expect.objectContaining({
        retryAfterMs: 6 * HOUR_MS,
        message: expect.stringMatching(/10 s of sound.*00:00 UTC/),
      }),
    );
    clock.nowMs += 6 * HOUR_MS;
    expect(await limitOf(() => quotas.check("a"))).toBeUndefined();
  });

  it("adds what was used before the process began, and reads it once a day", async () => {
    const readUsed = async () => ({ samples: 9 * RATE, tokens: 0 });
    const { quotas, clock, reads } = open({ readUsed });
    expect(await limitOf(() => quotas.recall("a", signal))).toBeUndefined();
    quotas.addSound("a", RATE);
    clock.nowMs += HOUR_MS;
    expect(await limitOf(() => quotas.recall("a", signal))).toBe("audio_quota");
    expect(reads).toEqual([["a", 20_000 * 24 * HOUR_MS]]);
  });

  it("counts nothing twice that was used and kept before it was read", async () => {
    const { quotas } = open({ readUsed: async () => ({ samples: 6 * RATE, tokens: 0 }) });
    quotas.addSound("a", 6 * RATE);
    expect(await limitOf(() => quotas.recall("a", signal))).toBeUndefined();
  });

  it("lets two first turns at once wait for the same answer", async () => {
    const kept = Promise.withResolvers<{ samples: number; tokens: number }>();
    const { quotas, reads } = open({ readUsed: () => kept.promise });
    const both = [1, 2].map(() => limitOf(() => quotas.recall("a", signal)));
    kept.resolve({ samples: 10 * RATE, tokens: 0 });
    expect(await Promise.all(both)).toEqual(["audio_quota", "audio_quota"]);
    expect(reads).toHaveLength(1);
  });

  it("reads again after a minute where others write too", async () => {
    let seconds = 1;
    const readUsed = async () => ({ samples: seconds * RATE, tokens: 0 });
    const { quotas, clock } = open({ isShared: true, readUsed });
    await quotas.recall("a", signal);
    seconds = 10;
    expect(await limitOf(() => quotas.recall("a", signal))).toBeUndefined();
    clock.nowMs += 60_000;
    expect(await limitOf(() => quotas.recall("a", signal))).toBe("audio_quota");
  });

  it("goes on with what it knows where nothing can be read", async () => {
    const { quotas } = open({ readUsed: () => Promise.reject(new Error("down")) });
    expect(await limitOf(() => quotas.recall("a", signal))).toBeUndefined();
    quotas.addSound("a", 10 * RATE);
    expect(await limitOf(() => quotas.recall("a", signal))).toBe("audio_quota");
  });

  it("ends the wait with the turn", async () => {
    const ended = new AbortController();
    const { quotas } = open({ readUsed: () => new Promise(() => undefined) });
    const recalled = quotas.recall("a", ended.signal);
    ended.abort(new Error("left"));
    await expect(recalled).rejects.toThrow("left");
  });

  it("asks nobody where there are no quotas", async () => {
    const { quotas, reads } = open({ audioSeconds: 0 });
    quotas.addSound("a", 1000 * RATE);
    expect(await limitOf(() => quotas.recall("a", signal))).toBeUndefined();
    expect(reads).toEqual([]);
  });
});
