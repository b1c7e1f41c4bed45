import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BlobEntry, BlobLocation, BlobStore } from "../../server/storage/blobs/blob-store.ts";
import {
  type BlobStoreOptions,
  openBlobStore,
} from "../../server/storage/blobs/open-blob-store.ts";
import { type ObjectStore, startObjectStore } from "../support/s3.ts";

const folder = mkdtempSync(join(tmpdir(), "parley-blobs-"));
let s3: ObjectStore;
beforeAll(async () => {
  s3 = await startObjectStore(join(folder, "s3rver"));
});
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const { signal } = new AbortController();
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const unknownId = sha256(Buffer.from("never stored"));
let count = 0;

/** Opens an area of its own, so that no test sees another's objects. */
function open(location: BlobLocation, options: Partial<BlobStoreOptions> = {}) {
  const store = openBlobStore(location, { area: `area-${count++}`, ...options });
  return Object.assign(store, { [Symbol.dispose]: () => store.close() });
}

async function listAll(store: BlobStore): Promise<readonly BlobEntry[]> {
  return await Array.fromAsync(store.list(signal));
}

const forms = [
  ["folder", (): BlobLocation => ({ type: "folder", path: join(folder, "blobs") })],
  ["s3", (): BlobLocation => ({ type: "s3", ...s3.location })],
  ["s3 with a prefix", (): BlobLocation => ({ type: "s3", ...s3.location, prefix: "a/b" })],
] as const;

describe.each(forms)("openBlobStore of a %s", (_name, locate) => {
  it.each([0, 1, 100_000, 8 * 1024 * 1024])("gives %i bytes back as they were", async (size) => {
    using store = open(locate());
    const bytes = randomBytes(size);
    const id = await store.put(bytes, signal);
    expect(id).toBe(sha256(bytes));
    const got = await store.get(id, signal);
    expect(got?.length).toBe(size);
    expect(Buffer.compare(got ?? Buffer.of(1), bytes)).toBe(0);
    expect(await store.size(id, signal)).toBe(size);
  });

  it("knows no object that was not stored, and no text that is no id", async () => {
    using store = open(locate());
    await store.put(Buffer.from("other"), signal);
    for (const id of [unknownId, "", "../../etc/passwd", `${unknownId}/..`, "A".repeat(64)]) {
      expect(await store.get(id, signal)).toBeUndefined();
      expect(await store.size(id, signal)).toBeUndefined();
      await store.delete(id, signal);
    }
  });

  it("deletes an object, for good and more than once", async () => {
    using store = open(locate());
    const id = await store.put(Buffer.from("gone soon"), signal);
    await store.delete(id, signal);
    await store.delete(id, signal);
    expect(await store.get(id, signal)).toBeUndefined();
    expect(await listAll(store)).toEqual([]);
  });

  it("lists the objects of its area alone", async () => {
    const area = `listed-${count++}`;
    using store = open(locate(), { area });
    using other = open(locate(), { area: `${area}-not` });
    expect(await listAll(store)).toEqual([]);
    const beforeMs = Date.now() - 2000;
    const contents = Array.from({ length: 20 }, (_, index) => Buffer.from(`object ${index}`));
    const ids = await Promise.all(contents.map((bytes) => store.put(bytes, signal)));
    await other.put(Buffer.from("not in the list"), signal);
    const listed = await listAll(store);
    expect(listed.map(({ id }) => id).sort()).toEqual([...ids].sort());
    for (const { id, bytes, storedAt } of listed) {
      expect(bytes).toBe(contents[ids.indexOf(id)]?.length);
      expect(storedAt).toBeGreaterThan(beforeMs);
      expect(storedAt).toBeLessThan(Date.now() + 2000);
    }
    expect(await other.get(ids[0] ?? "", signal)).toBeUndefined();
  });

  it("keeps one object of the same bytes, though many store it at once", async () => {
    using store = open(locate());
    const bytes = randomBytes(50_000);
    await Promise.all(Array.from({ length: 8 }, () => store.put(bytes, signal)));
    expect(await listAll(store)).toHaveLength(1);
    const got = await store.get(sha256(bytes), signal);
    expect(Buffer.from(got ?? [])).toEqual(bytes);
  });

  it("rejects with the signal's reason, and leaves nothing", async () => {
    using store = open(locate());
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    const bytes = randomBytes(1000);
    await expect(store.put(bytes, aborted)).rejects.toBe(reason);
    await expect(store.get(sha256(bytes), aborted)).rejects.toBe(reason);
    await expect(Array.fromAsync(store.list(aborted))).rejects.toBe(reason);
    const stopping = new AbortController();
    const putting = store.put(randomBytes(4_000_000), stopping.signal);
    stopping.abort(reason);
    await expect(putting).rejects.toBe(reason);
    expect(await store.get(sha256(bytes), signal)).toBeUndefined();
  });

  it("can be left in the middle of a list", async () => {
    using store = open(locate());
    await store.put(Buffer.from("a"), signal);
    await store.put(Buffer.from("b"), signal);
    for await (const { bytes } of store.list(signal)) {
      expect(bytes).toBe(1);
      break;
    }
  });
});

/** All files below a path. */
function filesOf(path: string): readonly string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe("a blob folder", () => {
  it("is not made before the first object, and is its owner's alone", async () => {
    const path = join(folder, "private");
    using store = open({ type: "folder", path }, { area: "a" });
    expect(await listAll(store)).toEqual([]);
    expect(readdirSync(folder)).not.toContain("private");
    await store.put(Buffer.from("secret"), signal);
    for (const each of [path, join(path, "a")]) expect(statSync(each).mode & 0o777).toBe(0o700);
    for (const file of filesOf(path)) expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("never answers with a damaged object, and heals it when it is stored again", async () => {
    const path = join(folder, "damaged");
    using store = open({ type: "folder", path });
    const bytes = randomBytes(1000);
    const id = await store.put(bytes, signal);
    const [file = ""] = filesOf(path);
    writeFileSync(file, bytes.subarray(0, 500));
    await expect(store.get(id, signal)).rejects.toMatchObject({ kind: "damaged" });
    await store.put(bytes, signal);
    expect(await store.get(id, signal)).toEqual(bytes);
  });

  it("lists no half-written file, and removes those that are old", async () => {
    const path = join(folder, "half");
    using store = open({ type: "folder", path }, { area: "a" });
    const id = await store.put(Buffer.from("whole"), signal);
    const half = join(path, "a/unfinished");
    for (const name of ["new", "old"]) writeFileSync(join(half, name), "ha");
    utimesSync(join(half, "old"), 1000, 1000);
    expect((await listAll(store)).map((entry) => entry.id)).toEqual([id]);
    expect(readdirSync(half)).toEqual(["new"]);
  });

  it("says what is wrong without a path", async () => {
    const path = join(folder, "a-file");
    writeFileSync(path, "");
    using store = open({ type: "folder", path });
    const error = await store.put(Buffer.from("x"), signal).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ name: "BlobError", kind: "io" });
    expect(String(error)).not.toContain(folder);
  });

  it("keeps what it had when a put is stopped midway", async () => {
    const path = join(folder, "stopped");
    using store = open({ type: "folder", path }, { area: "a" });
    const id = await store.put(Buffer.from("first"), signal);
    for (let round = 0; round < 20; round++) {
      const stopping = new AbortController();
      const putting = store.put(randomBytes(500_000), stopping.signal).catch(() => undefined);
      setImmediate(() => stopping.abort(new Error("stopped")));
      await putting;
    }
    for (const entry of await listAll(store)) {
      const whole = await store.get(entry.id, signal);
      expect(sha256(whole ?? Buffer.of())).toBe(entry.id);
    }
    expect(await store.get(id, signal)).toEqual(Buffer.from("first"));
  });
});

describe("an object store that breaks", () => {
  it.each([
    ["error-500", "server"],
    ["slow", "timeout"],
    ["gone", "unreachable"],
    ["refuses-key", "unauthorized"],
  ] as const)("as %s is told as %s, and serves again when it heals", async (fault, kind) => {
    using store = open(
      { type: "s3", ...s3.location },
      { timeoutMs: fault === "slow" ? 300 : 5000 },
    );
    const id = await store.put(Buffer.from("before"), signal);
    await s3.play(fault);
    try {
      await expect(store.put(Buffer.from("lost"), signal)).rejects.toMatchObject({ kind });
      await expect(store.get(id, signal)).rejects.toMatchObject({ kind });
      const error = await Array.fromAsync(store.list(signal)).catch((thrown: Error) => thrown);
      expect(error).toMatchObject({ kind });
      expect(String(error)).not.toMatch(/127\.0\.0\.1|S3RVER|parley-tests/);
    } finally {
      await s3.play("none");
    }
    expect(Buffer.from((await store.get(id, signal)) ?? []).toString()).toBe("before");
    await store.put(Buffer.from("after"), signal);
    expect(await listAll(store)).toHaveLength(2);
  });

  it("is told apart from a bucket that does not exist", async () => {
    using store = open({ type: "s3", ...s3.location, bucket: "absent" });
    await expect(store.put(Buffer.from("x"), signal)).rejects.toMatchObject({ kind: "no_bucket" });
  });
});
