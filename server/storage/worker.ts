import { setTimeout as sleep, setImmediate as turnOfLoop } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { type CallName, calls } from "./calls.ts";
import { type Connection, connect, type DatabaseOptions } from "./connection.ts";
import { StorageError, type StorageErrorKind, toStorageError } from "./errors.ts";
import { prepareWrites, type WriteStatements } from "./prepared-writes.ts";
import type { Write } from "./records.ts";
import { endIdleSessions, endSessionsOf, purgeStatements } from "./statements.ts";

// The thread that has the database. A file is read and written without giving way to other work, so it
// may stop for as long as the disk or another program's lock lasts.

/** What the thread is started with. */
export type ThreadOptions = DatabaseOptions & {
  /** Names this run of the gateway. */
  readonly gateway: string;
};

/** What the thread is asked. */
export type WorkerRequest =
  | { readonly type: "write"; readonly id: number; readonly write: Write }
  /** Ends sessions that were idle since `idleBefore`, and deletes what is older than `purgeBefore`. */
  | { readonly type: "tidy"; readonly idleBefore: number; readonly purgeBefore: number }
  /** Runs a call, behind the writes that were asked before. */
  | { readonly type: "call"; readonly id: number; readonly name: CallName; readonly args: object }
  /** Closes the database once all is written; then the thread ends. */
  | { readonly type: "close" };

/** What the thread answers. */
export type WorkerAnswer =
  /** The database is open, or it is not; then each write tries to open it. */
  | { readonly type: "opened"; readonly error?: WorkerError }
  | { readonly type: "written"; readonly ids: readonly number[]; readonly error?: WorkerError }
  | {
      readonly type: "answered";
      readonly id: number;
      readonly value?: unknown;
      readonly error?: WorkerError;
    }
  | { readonly type: "purged"; readonly rows: number; readonly error?: WorkerError }
  /** A damaged file was moved aside. */
  | { readonly type: "set_aside"; readonly name: string };

/** Why it failed. */
export type WorkerError = { readonly kind: StorageErrorKind; readonly code?: string };

type PendingWrite = Extract<WorkerRequest, { type: "write" }>;
type PendingCall = Extract<WorkerRequest, { type: "call" }>;
type Pending = Extract<WorkerRequest, { type: "write" | "call" }>;
type Tidying = Omit<Extract<WorkerRequest, { type: "tidy" }>, "type">;

/** Writes that are committed together. */
const GROUP = 256;
/** How long the thread goes on trying a locked database after it was told to close. */
const CLOSE_MS = 1500;
/** Requests are heard between two tries of a locked database. */
const BETWEEN_TRIES_MS = 10;

const { url, authToken, timeoutMs, gateway } = workerData as ThreadOptions;
const answer = (message: WorkerAnswer) => parentPort?.postMessage(message);
const pending: Pending[] = [];
let statementsOf: WriteStatements | undefined;
let tidying: Tidying | undefined;
let check: NonNullable<DatabaseOptions["check"]> = "small";
let closeBy = Number.POSITIVE_INFINITY;
let isRunning = false;
let opening: Promise<Connection> | undefined;

parentPort?.on("message", (request: WorkerRequest) => {
  if (request.type === "close") stop();
  else if (request.type === "tidy") tidying = request;
  else pending.push(request);
  void run();
});

await untilUnlocked(async () => void (await open())).then(
  () => answer({ type: "opened" }),
  (error) => answer({ type: "opened", error: errorOf(error) }),
);

/** The database, opened once until something fails. */
async function open(): Promise<Connection> {
  opening ??= connect({
    url,
    timeoutMs,
    check,
    hasCheckpoints: true,
    ...(authToken !== undefined && { authToken }),
    onSetAside: (name) => answer({ type: "set_aside", name }),
  });
  try {
    const connection = await withTimeout(opening);
    check = "never";
    return connection;
  } catch (error) {
    void disconnect();
    throw error;
  }
}

/** A statement that was locked out, or ran out of disk, can leave the connection unusable. */
async function disconnect(): Promise<void> {
  const opened = opening;
  opening = undefined;
  // If it is opened after all, it is closed then.
  await opened?.then((connection) => connection.close()).catch(() => undefined);
}

function stop(): void {
  closeBy = performance.now() + CLOSE_MS;
  tidying = undefined;
}

function isClosing(): boolean {
  return closeBy < Number.POSITIVE_INFINITY;
}

/** Does what waits. Between two groups it takes in what came meanwhile. */
async function run(): Promise<void> {
  if (isRunning) return;
  isRunning = true;
  await turnOfLoop();
  while (pending.length > 0 || tidying !== undefined) {
    const [first] = pending;
    if (first?.type === "call") await answerCall(first);
    else if (first) await writeGroup(takeWrites());
    else await tidySome();
    await turnOfLoop();
  }
  isRunning = false;
  if (!isClosing()) return;
  await endOwnSessions();
  await disconnect();
  parentPort?.close();
}

/** The writes that wait in front of a call. */
function takeWrites(): readonly PendingWrite[] {
  const read = pending.findIndex(({ type }) => type !== "write");
  const writes = pending.splice(0, Math.min(GROUP, read === -1 ? pending.length : read));
  return writes as readonly Pending[] as readonly PendingWrite[];
}

async function answerCall({ id, name, args }: PendingCall): Promise<void> {
  pending.shift();
  try {
    const call = calls[name] as (database: LibSQLDatabase, args: object) => Promise<unknown>;
    let value: unknown;
    await untilUnlocked(async () => {
      value = await withTimeout(call((await open()).database, args));
    });
    answer({ type: "answered", id, value });
  } catch (error) {
    const failure = errorOf(error);
    if (failure.kind !== "refused") void disconnect();
    answer({ type: "answered", id, error: failure });
  }
}

/** The gateway stops. If that cannot be written, its sessions will end as idle. */
async function endOwnSessions(): Promise<void> {
  try {
    const { database } = await open();
    await withTimeout(endSessionsOf(database, gateway, Date.now()));
  } catch {
    // Nobody hears of it any more.
  }
}

/** Commits all of them together. If one is refused, each is tried by itself. */
async function writeGroup(group: readonly PendingWrite[]): Promise<void> {
  const ids = group.map(({ id }) => id);
  try {
    await untilUnlocked(async () => {
      const { client, database, checkpoints } = await open();
      statementsOf ??= prepareWrites(database, gateway);
      await withTimeout(client.batch(statementsOf(group.map(({ write }) => write)), "write"));
      checkpoints?.request();
    });
    answer({ type: "written", ids });
  } catch (error) {
    const failure = errorOf(error);
    if (failure.kind === "refused" && group.length > 1) {
      for (const each of group) await writeGroup([each]);
    } else {
      if (failure.kind !== "refused") void disconnect();
      if (failure.kind === "corrupt") check = "always";
      answer({ type: "written", ids, error: failure });
    }
  }
}

/** Ends idle sessions and deletes some of what is too old. A deletion that found something is asked again. */
async function tidySome(): Promise<void> {
  const { idleBefore = 0, purgeBefore = 0 } = tidying ?? {};
  try {
    const { database } = await open();
    const now = Date.now();
    await withTimeout(endIdleSessions(database, idleBefore, now));
    const deletions = purgeStatements(database, purgeBefore, now);
    let rows = 0;
    for (const statement of deletions) {
      rows += (await withTimeout(statement.run())).rowsAffected;
    }
    if (rows === 0 || isClosing()) tidying = undefined;
    else answer({ type: "purged", rows });
  } catch (error) {
    tidying = undefined;
    void disconnect();
    answer({ type: "purged", rows: 0, error: errorOf(error) });
  }
}

/** Tries again while another program has the database locked, within the time that a call may take. */
async function untilUnlocked(call: () => Promise<void>): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const { kind } = toStorageError(error);
      const nowMs = performance.now();
      if (kind !== "busy" || nowMs >= Math.min(startMs + timeoutMs, closeBy)) throw error;
      void disconnect();
      await sleep(BETWEEN_TRIES_MS);
    }
  }
}

/** A server may never answer. */
async function withTimeout<T>(promise: PromiseLike<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new StorageError("timeout")), timeoutMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function errorOf(error: unknown): WorkerError {
  const { kind, code } = toStorageError(error);
  return { kind, ...(code !== undefined && { code }) };
}
