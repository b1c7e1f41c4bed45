import { randomUUID } from "node:crypto";
import { type MemoryStore, SHORT_TERM_MS } from "../models/memory.ts";
import type { ScreenshotRow } from "./records.ts";
import type { Storage } from "./storage-contract.ts";

/** The part of the blob store that has the screenshots. */
export const SCREENSHOTS_AREA = "screenshots";

/** Where the rows of screenshots are kept. */
export type ScreenshotRows = {
  /** Resolves when the row is durable: true, or lost: false. Never rejects. */
  addScreenshot(row: ScreenshotRow): Promise<boolean>;
  /** The format of the device's own picture. Rejects if the database fails. */
  findScreenshot(
    deviceId: string,
    id: string,
    signal: AbortSignal,
  ): Promise<Pick<ScreenshotRow, "format"> | undefined>;
  /** Deletes the rows of an object that is gone. Never rejects. */
  removeScreenshot(id: string): Promise<void>;
  /** Those of the ids that have no row. Rejects if the database fails. */
  findOrphans(ids: readonly string[], signal: AbortSignal): Promise<readonly string[]>;
};

type Calls = Pick<Storage, "call">;

/** Keeps memories in the database. */
export function createMemoryStore(storage: Calls): MemoryStore {
  const call: Calls["call"] = (name, args, signal) => storage.call(name, args, signal);
  return {
    list: (deviceId, signal) => call("listMemories", { deviceId, now: Date.now() }, signal),
    nearest: (deviceId, query, signal) =>
      call("nearestMemories", { deviceId, now: Date.now(), ...query }, signal),
    async change(deviceId, { add, remove }, signal) {
      const now = Date.now();
      const added = add.map((fact) => ({
        ...fact,
        id: randomUUID(),
        createdAt: now,
        ...(fact.term === "short" && { expiresAt: now + SHORT_TERM_MS }),
      }));
      await call("changeMemories", { deviceId, now, add: added, remove }, signal);
    },
    forget: (deviceId, ids, signal) =>
      call("forgetMemories", { deviceId, now: Date.now(), ids }, signal),
  };
}

/** Keeps the rows of screenshots in the database. */
export function createScreenshotRows(storage: Calls): ScreenshotRows {
  const call: Calls["call"] = (name, args, signal) => storage.call(name, args, signal);
  // A row is written though the gateway stops; the database's time-out bounds it.
  const { signal } = new AbortController();
  return {
    addScreenshot: (row) =>
      call("addScreenshot", { ...row, now: Date.now() }, signal).then(
        () => true,
        () => false,
      ),
    findScreenshot: (deviceId, id, given) => call("findScreenshot", { deviceId, id }, given),
    removeScreenshot: (id) => call("removeScreenshot", { id }, signal).catch(() => undefined),
    findOrphans: (ids, given) => call("findOrphans", { ids }, given),
  };
}
