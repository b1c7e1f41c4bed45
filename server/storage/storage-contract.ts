import type { Logger } from "../telemetry/logger.ts";
import type { AnswerOf, ArgumentsOf, CallName } from "./calls.ts";
import type { DatabaseOptions } from "./connection.ts";
import type { TurnStore, UsageRecord } from "./records.ts";

/** How the storage does, for `/status`. */
export type StorageStatus = {
  /**
   * `opening`: rows wait. `degraded`: rows are lost, until the database takes writes again. `off`: the
   * database's package for this platform is missing; nothing is stored.
   */
  readonly state: "opening" | "ok" | "degraded" | "off";
  /** Rows that are durable, and rows that turns went on without, since the start. */
  readonly written: number;
  readonly lost: number;
  /** Rows that wait for the database. */
  readonly waiting: number;
  /** Turns that went on without what the database has of their session, since the start. */
  readonly unread: number;
  /** Rows deleted because of their age. */
  readonly purged: number;
  /** The last failure since the start. */
  readonly lastError?: string;
};

/** The database of one gateway, in a thread of its own. */
export type Storage = TurnStore & {
  /**
   * Opens the database; rows that come before wait. Resolves when it is open. A database that cannot be
   * opened is reported and tried again: never rejects.
   */
  start(): Promise<void>;
  /** Writes what waits, for a limited time, and closes. */
  stop(): Promise<void>;
  /** Writes a report of tokens. Resolves as `KeptTurn.write` does. */
  recordUsage(usage: Omit<UsageRecord, "createdAt">): Promise<void>;
  /**
   * Reads or writes what is no turn. Rejects with a `StorageError`: at once while the database is down, and
   * after the time-out; with the signal's reason when that fires.
   */
  call<Name extends CallName>(
    name: Name,
    args: ArgumentsOf<Name>,
    signal: AbortSignal,
  ): Promise<AnswerOf<Name>>;
  status(): StorageStatus;
};

/** What a storage needs. */
export type StorageOptions = Omit<DatabaseOptions, "onSetAside"> & {
  readonly logger: Logger;
  /** Milliseconds after which turns are deleted. Absent: never. */
  readonly retentionMs?: number;
  /** Milliseconds without a turn that end a session. */
  readonly sessionIdleMs: number;
  /** Bytes of rows that may wait for the database; further ones are lost. 64 MiB if absent. */
  readonly maxWaitingBytes?: number;
  /** Milliseconds between two tries of a database that is down. 1 s if absent. */
  readonly retryMs?: number;
};
