import { copyFileSync, cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Client, createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { migrate } from "drizzle-orm/libsql/migrator";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { connect } from "../../server/storage/connection.ts";
import { eraseDevice } from "../../server/storage/statements.ts";
import { createStorage } from "../../server/storage/storage.ts";
import type { StorageOptions } from "../../server/storage/storage-contract.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { createFolder, hasSqld, query, readAll, type Sqld, startSqld } from "./databases.ts";

const MIGRATIONS = fileURLToPath(new URL("../../server/storage/migrations", import.meta.url));
const folder = createFolder();
const isServed = hasSqld();
let sqld: Sqld | undefined;
beforeAll(async () => {
  if (isServed) sqld = await startSqld(folder.path);
});
afterAll(async () => {
  await sqld?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const done = { reply: "Hello.", status: "done", sentSamples: 4800, tiers: ["offline", "tone"] };
const logger = createLogger("silent");

async function open(url: string, options: Partial<StorageOptions> = {}) {
  const storage = createStorage({
    url,
    timeoutMs: 10_000,
    logger,
    sessionIdleMs: 300_000,
    ...options,
  });
  await storage.start();
  return { ...bound(storage), [Symbol.asyncDispose]: () => storage.stop() };
}

function bound(storage: ReturnType<typeof createStorage>) {
  return {
    begin: storage.begin.bind(storage),
    recall: storage.recall.bind(storage),
    recordUsage: storage.recordUsage.bind(storage),
    status: storage.status.bind(storage),
  };
}

/** A migrations folder as it was when it had only the first `count`. */
function earlier(count: number): string {
  const copy = join(folder.path, `migrations-${count}`);
  cpSync(MIGRATIONS, copy, { recursive: true });
  const path = join(copy, "meta/_journal.json");
  const journal = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...journal, entries: journal.entries.slice(0, count) }));
  return copy;
}

const versions: number[] = JSON.parse(
  readFileSync(join(MIGRATIONS, "meta/_journal.json"), "utf8"),
).entries.map((_: unknown, index: number) => index);

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = createClient({ url });
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

const forms = [
  ["file:", () => folder.file("suite.db")],
  ["http:", () => `http://127.0.0.1:${sqld?.port}`],
  ["ws:", () => `ws://127.0.0.1:${sqld?.port}`],
] as const;

describe.each(isServed ? forms : forms.slice(0, 1))("createStorage over %s", (scheme, urlOf) => {
  const device = `device of ${scheme}`;

  it("writes a turn's row when it begins, and brings it up to date when it ends", async () => {
    await using storage = await open(urlOf());
    const turn = storage.begin({ deviceId: device, id: "t1", sessionId: "s1", prompt: "hi" });
    await vi.waitFor(() => expect(storage.status().written).toBe(1), 10_000);
    const [begun] = (await readAll(urlOf(), device))["turns"] ?? [];
    expect(begun).toMatchObject({ id: "t1", status: "running", prompt: "hi", endedAt: null });
    await turn.write({ ...done, ttftMs: 3, ttfaMs: 9, durationMs: 20 });
    const rows = await readAll(urlOf(), device);
    expect(rows["turns"]).toEqual([
      expect.objectContaining({
        ...done,
        sessionId: "s1",
        prompt: "hi",
        createdAt: begun?.["createdAt"],
        endedAt: expect.any(Number),
        ttftMs: 3,
        ttfaMs: 9,
        durationMs: 20,
        heard: null,
      }),
    ]);
    expect(rows["sessions"]).toEqual([expect.objectContaining({ id: "s1" })]);
    expect(rows["devices"]).toEqual([expect.objectContaining({ id: device })]);
    expect(storage.status()).toEqual({
      ...{ state: "ok", written: 2, lost: 0, waiting: 0 },
      ...{ unread: 0, purged: 0 },
    });
  });

  it("keeps the turns and sessions of devices apart that use the same ids", async () => {
    await using storage = await open(urlOf());
    for (const deviceId of [`${device} a`, `${device} b`]) {
      const turn = storage.begin({ deviceId, id: "same", sessionId: "same", prompt: deviceId });
      await turn.write({ ...done, reply: `for ${deviceId}` });
    }
    for (const deviceId of [`${device} a`, `${device} b`]) {
      const { turns, sessions } = await readAll(urlOf(), deviceId);
      expect(turns).toEqual([
        expect.objectContaining({ prompt: deviceId, reply: `for ${deviceId}` }),
      ]);
      expect(sessions).toHaveLength(1);
    }
  });

  it("writes the end of a turn whose beginning was lost, and turns that end in another order", async () => {
    await using storage = await open(urlOf());
    const deviceId = `${device} order`;
    const turns = Array.from({ length: 300 }, (_, index) => ({
      id: `t${index}`,
      turn: storage.begin({ deviceId, id: `t${index}`, sessionId: "s", prompt: `p${index}` }),
    }));
    await Promise.all(turns.reverse().map(({ id, turn }) => turn.write({ ...done, reply: id })));
    const rows = (await readAll(urlOf(), deviceId))["turns"] ?? [];
    expect(rows).toHaveLength(300);
    for (const { id, reply, status, prompt } of rows) {
      expect([reply, status, prompt]).toEqual([id, "done", `p${String(id).slice(1)}`]);
    }
  });

  it("stores reported tokens", async () => {
    await using storage = await open(urlOf());
    const deviceId = `${device} usage`;
    const report = { deviceId, source: "agent", model: "m", inputTokens: 5, outputTokens: 7 };
    await storage.recordUsage(report);
    await storage.recordUsage({ ...report, sessionId: "s" });
    expect((await readAll(urlOf(), deviceId))["usage"]).toEqual([
      expect.objectContaining({ ...report, sessionId: null }),
      expect.objectContaining({ ...report, sessionId: "s" }),
    ]);
  });

  it("deletes what is older than the retention, and nothing else", async () => {
    const deviceId = `${device} retention`;
    {
      await using storage = await open(urlOf());
      for (let index = 0; index < 600; index++) {
        storage.begin({ deviceId, id: `old-${index}`, sessionId: "s", prompt: "x" });
      }
      await storage
        .begin({ deviceId, id: "new", sessionId: "s-new", prompt: "x" })
        .write({ ...done });
    }
    await query(urlOf(), "UPDATE turns SET created_at = 5 WHERE id LIKE 'old-%'");
    await query(urlOf(), "UPDATE sessions SET last_turn_at = 5 WHERE id = 's'");
    await using storage = await open(urlOf(), { retentionMs: 3_600_000 });
    await vi.waitFor(() => expect(storage.status().purged).toBeGreaterThanOrEqual(601), 20_000);
    await vi.waitFor(async () => {
      const { turns, sessions, devices } = await readAll(urlOf(), deviceId);
      expect(turns?.map(({ id }) => id)).toEqual(["new"]);
      expect(sessions?.map(({ id }) => id)).toEqual(["s-new"]);
      expect(devices).toHaveLength(1);
    }, 10_000);
  });

  it("erases all of a device, and only that", async () => {
    await using storage = await open(urlOf());
    for (const deviceId of [`${device} erased`, `${device} kept`]) {
      await storage.begin({ deviceId, id: "t", sessionId: "s", prompt: "x" }).write(done);
    }
    const connection = await connect({ url: urlOf(), timeoutMs: 5000 });
    const counts = await eraseDevice(connection.database, `${device} erased`);
    await connection.close();
    expect(counts).toMatchObject({ devices: 1, sessions: 1, turns: 1, memories: 0, usage: 0 });
    const erased = await readAll(urlOf(), `${device} erased`);
    expect(Object.values(erased).flat()).toEqual([]);
    expect((await readAll(urlOf(), `${device} kept`))["turns"]).toHaveLength(1);
  });
});

describe("connect", () => {
  it.each(versions)("brings a database of version %i up to date, with its rows", async (count) => {
    const url = folder.file(`version-${count}.db`);
    await withClient(url, async (client) => {
      await migrate(drizzle(client), { migrationsFolder: earlier(count) });
      if (count > 0) {
        await client.execute(
          "INSERT INTO turns (device_id, id, session_id, created_at, status) VALUES ('d', 't', 's', 1, 'done')",
        );
      }
    });
    const { turns, memories } = await readAll(url, "d");
    expect(turns).toHaveLength(count > 0 ? 1 : 0);
    expect(memories).toEqual([]);
  });

  it("serves two gateways that bring the same database up to date at the same time", async () => {
    const url = folder.file("two.db");
    const both = await Promise.all([open(url), open(url)]);
    await Promise.all(
      both.map((storage, index) =>
        storage.begin({ deviceId: "d", id: `t${index}`, sessionId: "s", prompt: "x" }).write(done),
      ),
    );
    expect(both.map((storage) => storage.status().lost)).toEqual([0, 0]);
    for (const storage of both) await storage[Symbol.asyncDispose]();
    expect((await readAll(url, "d"))["turns"]).toHaveLength(2);
  });

  it("shares a database with a later version, whose columns it does not know", async () => {
    const url = folder.file("later.db");
    await query(url, "ALTER TABLE turns ADD COLUMN mood text");
    const later = "INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 9999999999999)";
    await query(url, later);
    await using storage = await open(url);
    await storage.begin({ deviceId: "d", id: "t", sessionId: "s", prompt: "x" }).write(done);
    expect((await readAll(url, "d"))["turns"]).toEqual([expect.objectContaining(done)]);
    expect(storage.status().lost).toBe(0);
  });

  it("lets only the owner read the file, and the files beside it", async () => {
    const url = folder.file("new/folder/private.db");
    await using storage = await open(url);
    await storage.begin({ deviceId: "d", id: "t", sessionId: "s", prompt: "x" }).write(done);
    const path = join(folder.path, "new/folder");
    expect(statSync(path).mode & 0o777).toBe(0o700);
    const modes = readdirSync(path).map((name) => statSync(join(path, name)).mode & 0o777);
    expect(modes.length).toBeGreaterThanOrEqual(2);
    expect(new Set(modes)).toEqual(new Set([0o600]));
  });

  it("moves a damaged database aside with all that is in it, and begins a new one", async () => {
    const url = folder.file("damaged.db");
    const path = url.slice("file:".length);
    {
      await using storage = await open(url);
      await storage.begin({ deviceId: "d", id: "t", sessionId: "s", prompt: "x" }).write(done);
    }
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 100, 8192);
    writeFileSync(path, bytes);
    const lines: string[] = [];
    const loud = createLogger("info", {
      output: { write: (line: string) => void lines.push(line) },
    });
    await using storage = await open(url, { logger: loud });
    await storage.begin({ deviceId: "d", id: "t2", sessionId: "s", prompt: "x" }).write(done);
    expect((await readAll(url, "d"))["turns"]?.map(({ id }) => id)).toEqual(["t2"]);
    expect(storage.status()).toMatchObject({ state: "ok", lost: 0 });
    const [kept = ""] = readdirSync(folder.path).filter((name) => name.includes("db.damaged-"));
    expect(readFileSync(join(folder.path, kept)).equals(bytes)).toBe(true);
    const line = lines.find((each) => each.includes("damaged"));
    expect(line).toContain(kept);
    expect(line).not.toContain(folder.path);
  });

  it("never moves a file that was no database", async () => {
    const path = join(folder.path, "notes.txt");
    writeFileSync(path, "These are notes. ".repeat(100));
    copyFileSync(path, `${path}.copy`);
    await using storage = await open(`file:${path}`);
    expect(storage.status()).toMatchObject({
      state: "degraded",
      lastError: "the database file is damaged or no database",
    });
    expect(readFileSync(path).equals(readFileSync(`${path}.copy`))).toBe(true);
  });
});
