import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openBlobStore } from "../../server/storage/blobs/open-blob-store.ts";
import { isWithoutDisk, mountDisk } from "../support/disk.ts";
import { itUnless } from "../support/it-unless.ts";
import { startObjectStore } from "../support/s3.ts";

const { signal } = new AbortController();
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

function createFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "parley-blobs-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

describe("a bucket", () => {
  it("lists more objects than one page has", async () => {
    using folder = createFolder();
    await using s3 = await startObjectStore(folder.path);
    const store = openBlobStore({ type: "s3", ...s3.location }, { area: "many" });
    const all = Array.from({ length: 1010 }, (_, index) => Buffer.from(`many ${index}`));
    // The SDK keeps 50 connections at most.
    for (let at = 0; at < all.length; at += 40) {
      await Promise.all(all.slice(at, at + 40).map((bytes) => store.put(bytes, signal)));
    }
    const listed = await Array.fromAsync(store.list(signal));
    expect(listed.map(({ id }) => id).sort()).toEqual(all.map(sha256).sort());
    store.close();
  });
});

const itWithDisk = itUnless(isWithoutDisk);

describe("a folder on a disk", () => {
  itWithDisk("that is full keeps what it has, leaves no half file, and heals", async () => {
    using folder = createFolder();
    using disk = mountDisk(folder.path, "2m");
    const store = openBlobStore({ type: "folder", path: disk.path }, { area: "a" });
    const id = await store.put(randomBytes(1000), signal);
    const free = disk.fill();
    const lost = randomBytes(100_000);
    await expect(store.put(lost, signal)).rejects.toMatchObject({ kind: "full" });
    expect(await store.get(sha256(lost), signal)).toBeUndefined();
    expect((await Array.fromAsync(store.list(signal))).map((entry) => entry.id)).toEqual([id]);
    free();
    expect(await store.put(lost, signal)).toBe(sha256(lost));
  });

  itWithDisk("that is read-only still reads, and says why it does not write", async () => {
    using folder = createFolder();
    using disk = mountDisk(folder.path, "2m");
    const store = openBlobStore({ type: "folder", path: disk.path }, { area: "a" });
    const bytes = randomBytes(1000);
    const id = await store.put(bytes, signal);
    disk.remount("ro");
    await expect(store.put(randomBytes(10), signal)).rejects.toMatchObject({ kind: "readonly" });
    expect(await store.get(id, signal)).toEqual(bytes);
    disk.remount("rw");
    await store.put(randomBytes(10), signal);
  });
});

const STORE = fileURLToPath(
  new URL("../../server/storage/blobs/open-blob-store.ts", import.meta.url),
);

/** Stores objects without an end, and writes the id of each that is durable. */
const writer = (path: string) => `
  const { openBlobStore } = await import(${JSON.stringify(STORE)});
  const { randomBytes } = await import("node:crypto");
  const store = openBlobStore({ type: "folder", path: ${JSON.stringify(path)} }, { area: "a" });
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (;;) process.stdout.write((await store.put(randomBytes(200_000), signal)) + "\\n");
  }));`;

describe("a process that is killed while it stores", () => {
  it("has lost nothing that was acknowledged, and left nothing half written, in 20 tries", async () => {
    using folder = createFolder();
    const store = openBlobStore({ type: "folder", path: folder.path }, { area: "a" });
    const acknowledged = new Set<string>();
    for (let round = 0; round < 20; round++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", writer(folder.path)]);
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
        if (text.length > 65 * (1 + round)) child.kill("SIGKILL");
      });
      await once(child, "close");
      for (const id of text.match(/[0-9a-f]{64}(?=\n)/g) ?? []) acknowledged.add(id);
    }
    expect(acknowledged.size).toBeGreaterThan(100);
    const found = new Set<string>();
    for await (const { id } of store.list(signal)) {
      found.add(id);
      expect(sha256((await store.get(id, signal)) ?? Buffer.of())).toBe(id);
    }
    expect([...acknowledged].filter((id) => !found.has(id))).toEqual([]);
  }, 120_000);
});
