import { execFileSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, vi } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { StorageStatus } from "../../server/storage/storage-contract.ts";
import { startChildGateway } from "../support/child-gateway.ts";
import type { Gateway } from "../support/gateway.ts";
import { itUnless } from "../support/it-unless.ts";
import {
  createFolder,
  hasSqld,
  lockDatabase,
  query,
  readAll,
  startSqld,
  startStoring,
} from "./databases.ts";

const hardwareId = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
const LONG = { timeout: 30_000, interval: 50 };

const clientOf = (port: number) =>
  createClient(StreamingService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }));
const startOn = (url: string, timeoutSeconds: number) =>
  startStoring({ env: { DATABASE_URL: url, DATABASE_TIMEOUT: String(timeoutSeconds) } });
const statusOf = (gateway: Gateway) => gateway.status().storage as StorageStatus;

/** Takes a turn; resolves with its end message. */
async function turn(gateway: { readonly grpcPort: number }, prompt = "Hello.") {
  const steps = clientOf(gateway.grpcPort).streamAudio({ prompt, hardwareId });
  return (await Array.fromAsync(steps)).at(-1)?.content.value;
}

async function storedPrompts(url: string) {
  const rows = (await readAll(url, hardwareId))["turns"] ?? [];
  return rows.filter(({ status }) => status === "done").map(({ prompt }) => prompt);
}

/** A small disk of its own, which takes root. */
function mountDisk(folder: string, size: string): Disposable & { readonly path: string } {
  const path = join(folder, "disk");
  mkdirSync(path);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
  return { path, [Symbol.dispose]: () => void execFileSync("umount", ["-l", path]) };
}

function remount(path: string, mode: "ro" | "rw"): void {
  execFileSync("mount", ["-o", `remount,${mode}`, path]);
}

describe("a database that is locked", () => {
  it("for less than its time-out holds up end messages alone, and loses nothing", async () => {
    using folder = createFolder();
    await using gateway = await startOn(folder.file(), 30);
    await turn(gateway);
    const unlock = await lockDatabase(join(folder.path, "parley.db"));
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const turns = Array.from({ length: 5 }, (_, index) => turn(gateway, `p${index}`));
    await vi.waitFor(() => expect(gateway.spoken).toHaveLength(6), LONG);
    const locked = Promise.race([Promise.all(turns), sleep(5000, "waits")]);
    expect(await locked).toBe("waits");
    delay.disable();
    await unlock();
    expect(await Promise.all(turns)).toEqual(Array(5).fill("done"));
    expect((await storedPrompts(folder.file())).sort()).toEqual([
      "Hello.",
      ...["p0", "p1", "p2", "p3", "p4"],
    ]);
    expect(statusOf(gateway)).toMatchObject({ state: "ok", lost: 0 });
    // The lock lasted for 5 s; the loop stood still for no such time.
    expect(delay.max / 1e6).toBeLessThan(1500);
  });

  it("for longer lets turns go on without their rows, counts them, and heals by itself", async () => {
    using folder = createFolder();
    await using gateway = await startOn(folder.file(), 3);
    const unlock = await lockDatabase(join(folder.path, "parley.db"));
    expect(await turn(gateway)).toBe("done");
    expect(statusOf(gateway)).toMatchObject({ state: "degraded", lastError: expect.any(String) });
    const startMs = performance.now();
    expect(await turn(gateway)).toBe("done");
    // Not another three seconds.
    expect(performance.now() - startMs).toBeLessThan(2500);
    expect(statusOf(gateway).lost).toBeGreaterThanOrEqual(2);
    await unlock();
    await vi.waitFor(() => expect(statusOf(gateway).state).toBe("ok"), LONG);
    await turn(gateway, "after");
    expect(await storedPrompts(folder.file())).toContain("after");
  });
});

/** Only root can mount a disk. CI is root: there they are not left out. */
const itWithDisk = itUnless(process.getuid?.() !== 0 && process.env["CI"] === undefined);

describe("a disk", () => {
  itWithDisk("that is full costs rows while it is, and the database stays sound", async () => {
    using folder = createFolder();
    using disk = mountDisk(folder.path, "2m");
    const url = `file:${join(disk.path, "parley.db")}`;
    await using gateway = await startOn(url, 5);
    await turn(gateway, "before");
    const { bavail, bsize } = statfsSync(disk.path);
    const filler = join(disk.path, "filler");
    writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - 4096)));
    try {
      for (;;) appendFileSync(filler, Buffer.alloc(512));
    } catch {
      // Now it is full.
    }
    for (let index = 0; index < 20; index++) expect(await turn(gateway, "lost?")).toBe("done");
    await vi.waitFor(
      () => expect(statusOf(gateway)).toMatchObject({ lastError: "the disk is full" }),
      LONG,
    );
    rmSync(filler);
    await vi.waitFor(() => expect(statusOf(gateway).state).toBe("ok"), LONG);
    await turn(gateway, "after");
    expect(await storedPrompts(url)).toEqual(expect.arrayContaining(["before", "after"]));
    expect(await query(url, "PRAGMA integrity_check")).toEqual([["ok"]]);
    expect(statusOf(gateway).lost).toBeGreaterThan(0);
  });

  itWithDisk("that is read-only does not keep the gateway from serving, and heals", async () => {
    using folder = createFolder();
    using disk = mountDisk(folder.path, "2m");
    remount(disk.path, "ro");
    const url = `file:${join(disk.path, "parley.db")}`;
    await using gateway = await startOn(url, 5);
    expect(await turn(gateway)).toBe("done");
    expect(statusOf(gateway)).toMatchObject({ state: "degraded", written: 0, lost: 2 });
    remount(disk.path, "rw");
    await vi.waitFor(() => expect(statusOf(gateway).state).toBe("ok"), LONG);
    await turn(gateway, "after");
    expect(await storedPrompts(url)).toEqual(["after"]);
  });
});

const itWithSqld = itUnless(!hasSqld());

describe("a libSQL server", () => {
  itWithSqld.each(["http", "ws"])(
    "over %s that stalls, dies and comes back costs rows alone",
    async (scheme) => {
      using folder = createFolder();
      await using first = await startSqld(folder.path);
      const url = `${scheme}://127.0.0.1:${first.port}`;
      await using gateway = await startOn(url, 3);
      await turn(gateway, "before");
      expect(await storedPrompts(url)).toEqual(["before"]);

      first.stall();
      expect(await turn(gateway, "stalled")).toBe("done");
      expect(statusOf(gateway).state).toBe("degraded");
      const startMs = performance.now();
      expect(await turn(gateway, "stalled too")).toBe("done");
      expect(performance.now() - startMs).toBeLessThan(2500);
      first.resume();
      await vi.waitFor(() => expect(statusOf(gateway).state).toBe("ok"), LONG);
      await turn(gateway, "between");

      await first.kill();
      expect(await turn(gateway, "gone")).toBe("done");
      await vi.waitFor(() => expect(statusOf(gateway).state).toBe("degraded"), LONG);
      await using second = await startSqld(folder.path, { port: first.port });
      expect(second.port).toBe(first.port);
      await vi.waitFor(() => expect(statusOf(gateway).state).toBe("ok"), LONG);
      await turn(gateway, "after");
      expect(await storedPrompts(url)).toEqual(
        expect.arrayContaining(["before", "between", "after"]),
      );
    },
  );

  itWithSqld("takes a valid token, and shows where it refuses one without naming it", async () => {
    using folder = createFolder();
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const { x = "" } = publicKey.export({ format: "jwk" });
    await using server = await startSqld(folder.path, { publicKey: x });
    const start = (token: string) =>
      startStoring({
        env: { DATABASE_URL: `http://127.0.0.1:${server.port}`, DATABASE_AUTH_TOKEN: token },
      });
    const text = [{ alg: "EdDSA", typ: "JWT" }, { a: "rw" }]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    const token = `${text}.${sign(null, Buffer.from(text), privateKey).toString("base64url")}`;
    await using valid = await start(token);
    expect(await turn(valid)).toBe("done");
    expect(statusOf(valid)).toMatchObject({ state: "ok", written: 2, lost: 0 });
    await using invalid = await start(token.replace(/.{4}$/, "AAAA"));
    expect(await turn(invalid)).toBe("done");
    expect(statusOf(invalid)).toMatchObject({
      state: "degraded",
      lastError: "the database server refuses the token",
    });
  });

  itWithSqld("that is not there at the start does not keep the gateway from serving", async () => {
    using folder = createFolder();
    const gone = await startSqld(folder.path);
    await gone.kill();
    await using gateway = await startOn(`http://127.0.0.1:${gone.port}`, 2);
    expect(await turn(gateway)).toBe("done");
    expect(statusOf(gateway)).toMatchObject({ state: "degraded", lost: 2 });
    await using _ = await startSqld(folder.path, { port: gone.port });
    await vi.waitFor(() => expect(statusOf(gateway).state).toBe("ok"), LONG);
  });
});

describe("SIGTERM", () => {
  it("ends the process in time and in order while the database is locked", async () => {
    using folder = createFolder();
    await using gateway = await startChildGateway({
      STORAGE_ENABLED: "true",
      DATA_DIR: folder.path,
      DATABASE_TIMEOUT: "30",
      SHUTDOWN_GRACE: "1",
    });
    await turn(gateway);
    const unlock = await lockDatabase(join(folder.path, "parley.db"));
    const pending = turn(gateway, "p").catch(() => "ended");
    await sleep(1000);
    const startMs = performance.now();
    gateway.process.kill("SIGTERM");
    const [code, signal] = await once(gateway.process, "exit");
    expect([code, signal]).toEqual([0, null]);
    expect(performance.now() - startMs).toBeLessThan(8000);
    expect(await pending).toBe("ended");
    await unlock();
  });
});
