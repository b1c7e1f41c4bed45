import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Client } from "@libsql/client";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { limitTime } from "../core/time-limit.ts";
import { type Checkpoints, createCheckpoints } from "./checkpoints.ts";
import { createClient, drizzle, migrate, sql } from "./drizzle.ts";
import { StorageError, toStorageError } from "./errors.ts";

/** How a database is reached. */
export type DatabaseOptions = {
  /** `file:`, `libsql:`, `http:`, `https:`, `ws:` or `wss:`. */
  readonly url: string;
  readonly authToken?: string;
  /** Milliseconds that one call may take. */
  readonly timeoutMs: number;
  /**
   * Called with the new name of a damaged file that was moved aside. Absent: it stays where it is, and
   * the database cannot be opened.
   */
  readonly onSetAside?: (name: string) => void;
  /**
   * Whether the whole file is checked. `small`: if that takes no more than a moment; damage of a larger
   * one shows where it is read.
   */
  readonly check?: "never" | "small" | "always";
  /** Whether the log of a file's writes is written into it beside the thread, not by its commits. */
  readonly hasCheckpoints?: boolean;
};

/** A database with the current tables. */
export type Connection = {
  readonly client: Client;
  readonly database: LibSQLDatabase;
  /** The path of a database in a file. */
  readonly path: string | undefined;
  /** Absent if nobody keeps the connection for long. */
  readonly checkpoints?: Checkpoints;
  close(): Promise<void>;
};

const MIGRATIONS = fileURLToPath(new URL("./migrations", import.meta.url));
/**
 * How long SQLite itself waits for another program's lock. The thread can neither hear nor end meanwhile;
 * whoever has more time tries again.
 */
const BUSY_MS = 100;
/** Bytes of a file that is checked in a moment, about 0.1 s. */
const SMALL_BYTES = 64 * 1024 * 1024;
/** Bytes that the log of a file's writes shrinks to. */
const LOG_BYTES = 16 * 1024 * 1024;
/** As many pages of 4 KiB: a commit that finds more writes them into the file itself. */
const LOG_PAGES = LOG_BYTES / 4096;

/**
 * Opens the database and brings its tables up to date. A damaged file is moved aside, and a new one is
 * begun. Rejects with a `StorageError`. A file is read and written without giving way to other work of
 * the thread.
 */
export async function connect(options: DatabaseOptions): Promise<Connection> {
  try {
    return await open(options);
  } catch (error) {
    const failure = toStorageError(error);
    const path = pathOf(options.url);
    const { onSetAside } = options;
    if (failure.kind !== "corrupt" || path === undefined || !onSetAside) throw failure;
    if (!mayMove(path)) throw failure;
    setAside(path, onSetAside);
    return await open(options).catch((again) => Promise.reject(toStorageError(again)));
  }
}

async function open(options: DatabaseOptions): Promise<Connection> {
  const { hasCheckpoints = false } = options;
  const path = pathOf(options.url);
  if (path !== undefined) createFile(path);
  const client = openClient(options);
  try {
    const database = drizzle(client);
    if (path !== undefined) {
      await prepareFile(client);
      if (hasCheckpoints) await client.execute(`PRAGMA wal_autocheckpoint = ${LOG_PAGES}`);
      if (isToBeChecked(path, options)) await checkFile(client);
    }
    await migrateTwice(database);
    const checkpoints = path !== undefined && hasCheckpoints ? createCheckpoints(path) : undefined;
    const close = async () => {
      client.close();
      await checkpoints?.close();
    };
    return { client, database, path, close, ...(checkpoints && { checkpoints }) };
  } catch (error) {
    client.close();
    throw error;
  }
}

function openClient({ url, authToken, timeoutMs }: DatabaseOptions): Client {
  return createClient({
    url,
    ...(authToken !== undefined && { authToken }),
    // A request that is not answered would be held for minutes.
    fetch: (input: Request) => fetch(input, { signal: limitTime(input.signal, timeoutMs).signal }),
  });
}

/** Another gateway may apply the same migrations at the same time: then nothing is left to apply. */
async function migrateTwice(database: LibSQLDatabase): Promise<void> {
  const apply = () => migrate(database, { migrationsFolder: MIGRATIONS });
  await apply().catch(async (error) => {
    if (toStorageError(error).kind !== "refused") throw error;
    await apply();
  });
}

/**
 * Only the owner may read what was said. The files beside it get the same rights from SQLite. A file that
 * is there is not opened: to close it again would drop the locks of all its connections in this process.
 */
function createFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "ax", 0o600));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code === "ENOSPC") throw new StorageError("full", code);
    // SQLite can still read a file that cannot be written, and says what it misses.
    if (code !== "EROFS" && code !== "EACCES") throw new StorageError("io", code);
  }
}

async function prepareFile(client: Client): Promise<void> {
  await client.execute(`PRAGMA busy_timeout = ${BUSY_MS}`);
  await client.execute("PRAGMA journal_mode = WAL");
  // A commit survives the death of the process, and does not wait for the disk.
  await client.execute("PRAGMA synchronous = NORMAL");
  // What is erased is overwritten.
  await client.execute("PRAGMA secure_delete = ON");
  await client.execute(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
}

function isToBeChecked(path: string, { check = "small" }: DatabaseOptions): boolean {
  return check === "always" || (check === "small" && statSync(path).size <= SMALL_BYTES);
}

async function checkFile(client: Client): Promise<void> {
  const { rows } = await client.execute("PRAGMA quick_check(1)");
  if (rows[0]?.[0] !== "ok") throw new StorageError("corrupt", "QUICK_CHECK");
}

/** Whether the URL names a file that does not exist. */
export function isAbsent(url: string): boolean {
  const path = pathOf(url);
  return path !== undefined && !existsSync(path);
}

/** The path of a `file:` URL, which may be relative. */
function pathOf(url: string): string | undefined {
  if (!url.startsWith("file:")) return undefined;
  const path = url.slice("file:".length).replace(/\?.*$/, "");
  return path.startsWith("//") ? fileURLToPath(`file:${path}`) : decodeURIComponent(path);
}

/** A wrong setting must not move a file that never was a database. */
function mayMove(path: string): boolean {
  if (/\.(db|sqlite3?)$/.test(path)) return true;
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(15);
    readSync(file, head, 0, head.length, 0);
    return head.toString("latin1") === "SQLite format 3";
  } finally {
    closeSync(file);
  }
}

/** The log of writes goes with its file: it would be applied to the new one. */
function setAside(path: string, onSetAside: (name: string) => void): void {
  const name = `${path}.damaged-${new Date().toISOString().replace(/[:.]/g, "-")}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    try {
      renameSync(path + suffix, name + suffix);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw new StorageError("io");
    }
  }
  onSetAside(basename(name));
}

/** How long the log of a file's writes is tried to be emptied, and how long between two tries. */
const EMPTY_MS = 5000;
const EMPTY_PAUSE_MS = 50;

/**
 * Writes the log of a file's writes into it and empties it: what was erased is gone from both. Resolves
 * to false if others read or write for so long that it cannot be.
 */
export async function emptyLog({ database, path }: Connection): Promise<boolean> {
  if (path === undefined) return true;
  const lastMs = performance.now() + EMPTY_MS;
  for (;;) {
    const row = await database.get<{ busy: number }>(sql`PRAGMA wal_checkpoint(TRUNCATE)`);
    if (row?.busy === 0) return true;
    if (performance.now() > lastMs) return false;
    await sleep(EMPTY_PAUSE_MS);
  }
}
