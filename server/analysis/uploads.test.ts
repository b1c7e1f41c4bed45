import { describe, expect, it } from "vitest";
import type { Storage } from "../storage/storage-contract.ts";
import type { Decoder } from "./decoder.ts";
import { createUploads } from "./uploads.ts";

const storage = { call: async () => 0 } as unknown as Pick<Storage, "call">;
const file = { deviceId: "d", filename: "a.wav", bytes: new Uint8Array(1) };
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Uploads whose checks end when the test says so. */
function createSlowUploads() {
  const checks: PromiseWithResolvers<void>[] = [];
  const decoder: Pick<Decoder, "measure"> = {
    async measure(_, signal) {
      const check = Promise.withResolvers<void>();
      checks.push(check);
      signal.addEventListener("abort", () => check.reject(signal.reason));
      await check.promise;
      return { format: "wav", samples: 16_000 };
    },
  };
  const files = { store: async () => undefined };
  const uploads = createUploads({
    files: files as unknown as Parameters<typeof createUploads>[0]["files"],
    decoder: decoder as Decoder,
  });
  return { uploads, checks };
}

describe("createUploads", () => {
  it("checks two files at once, and lets one that waits leave the line at once", async () => {
    const { uploads, checks } = createSlowUploads();
    const clients = Array.from({ length: 4 }, () => new AbortController());
    const taken = clients.map(({ signal }) => uploads.take(file, storage, signal));
    for (const each of taken) each.catch(() => undefined);
    await settled();
    expect(checks).toHaveLength(2);
    clients[2]?.abort(new Error("gone"));
    await expect(taken[2]).rejects.toThrow("gone");
    expect(checks).toHaveLength(2);
    checks[0]?.resolve();
    await expect(taken[0]).resolves.toMatch(/^[\da-f-]{36}$/);
    expect(checks).toHaveLength(3);
    clients[1]?.abort(new Error("gone"));
    await expect(taken[1]).rejects.toThrow("gone");
    checks[2]?.resolve();
    await expect(taken[3]).resolves.toMatch(/^[\da-f-]{36}$/);
    // All places are free again.
    const more = [0, 1].map(() => uploads.take(file, storage, new AbortController().signal));
    await settled();
    expect(checks).toHaveLength(5);
    for (const check of checks) check.resolve();
    await Promise.all(more);
  });
});
