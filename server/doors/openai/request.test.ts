import { Readable } from "node:stream";
import type { Context } from "hono";
import { describe, expect, it } from "vitest";
import { LimitExceeded } from "../../core/errors.ts";
import type { NodeEnv } from "../door.ts";
import { createJsonReader } from "./request.ts";

/** A request with this body, as far as the reader looks at it. */
const requestOf = (incoming: Readable) =>
  ({ env: { incoming }, req: { header: () => "application/json" } }) as unknown as Context<NodeEnv>;

describe("createJsonReader", () => {
  it("refuses a body that does not fit beside those that arrive, and takes it when they have", async () => {
    const readJson = createJsonReader(100);
    const slow = new Readable({ read: () => undefined });
    const first = readJson(requestOf(slow), 90);
    slow.push(`"${"x".repeat(80)}`);
    const second = () =>
      readJson(requestOf(Readable.from([Buffer.from(`"${"y".repeat(60)}"`)])), 90);
    await expect.poll(() => slow.readableLength).toBe(0);
    await expect(second()).rejects.toThrow(LimitExceeded);
    slow.push('"');
    slow.push(null);
    expect(await first).toHaveLength(80);
    expect(await second()).toHaveLength(60);
  });

  it("gives back what a body took whose client has left", async () => {
    const readJson = createJsonReader(100);
    const broken = new Readable({ read: () => undefined });
    const first = readJson(requestOf(broken), 90);
    broken.push("x".repeat(80));
    await expect.poll(() => broken.readableLength).toBe(0);
    broken.destroy(new Error("left"));
    await expect(first).rejects.toThrow("left");
    const body = Readable.from([Buffer.from(`"${"y".repeat(80)}"`)]);
    expect(await readJson(requestOf(body), 90)).toHaveLength(80);
  });
});
