import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { and, asc, desc, eq, inArray, lt, ne, or, sql } from "./drizzle.ts";
import { analyses } from "./schema.ts";
import { together, touchDevice } from "./touch.ts";

// Tasks of the analysis and their results. The row is the truth: whoever runs a task holds a lease of it,
// and writes only while the lease is still its own.

/** A task as it is stored. */
export type AnalysisRow = typeof analyses.$inferSelect;

/** A task that begins. */
export type NewAnalysis = Omit<typeof analyses.$inferInsert, "createdAt" | "updatedAt" | "status">;

/** Who holds a task: a run of a gateway, and which of the task's runs it is. */
export type Lease = { readonly id: string; readonly owner: string; readonly run: number };

/** What a run has come to. */
export type AnalysisEnd = {
  /** `PENDING`: it is to be run again. */
  readonly status: string;
  readonly message?: string;
  readonly result?: object;
};

type OfDevice = { readonly deviceId: string; readonly id: string };

const isStored = ne(analyses.status, "STORING");
const isOf = ({ deviceId, id }: OfDevice) =>
  and(eq(analyses.deviceId, deviceId), eq(analyses.id, id));
const isHeld = ({ id, owner, run }: Lease) =>
  and(
    eq(analyses.id, id),
    eq(analyses.owner, owner),
    eq(analyses.runs, run),
    eq(analyses.status, "PROCESSING"),
  );
const isOpen = (now: number) =>
  or(
    eq(analyses.status, "PENDING"),
    and(eq(analyses.status, "PROCESSING"), lt(analyses.leaseUntil, now)),
  );

/** The calls, by name. */
export const analysisCalls = {
  /** Adds a task whose file is about to be stored: nobody sees it yet. */
  async addAnalysis(
    database: LibSQLDatabase,
    { now, row }: { readonly now: number; readonly row: NewAnalysis },
  ) {
    await together(database, [
      touchDevice(database, row.deviceId, now),
      database
        .insert(analyses)
        .values({ ...row, status: "STORING", createdAt: now, updatedAt: now }),
    ]);
  },

  /** The file is stored: from now on the task is there. */
  async openAnalysis(
    database: LibSQLDatabase,
    { id, now }: { readonly id: string; readonly now: number },
  ) {
    await database
      .update(analyses)
      .set({ status: "PENDING", updatedAt: now })
      .where(and(eq(analyses.id, id), eq(analyses.status, "STORING")));
  },

  /** A task of the device's own. */
  async findAnalysis(database: LibSQLDatabase, which: OfDevice) {
    const [row] = await database
      .select()
      .from(analyses)
      .where(and(isOf(which), isStored))
      .limit(1);
    return row;
  },

  /** The device's tasks, the latest first, from the one behind `before` on. */
  async listAnalyses(
    database: LibSQLDatabase,
    {
      deviceId,
      before,
      limit,
    }: { readonly deviceId: string; readonly before?: string; readonly limit: number },
  ) {
    const from = before === undefined ? undefined : isBehind({ deviceId, id: before });
    return await database
      .select()
      .from(analyses)
      .where(and(eq(analyses.deviceId, deviceId), isStored, from))
      .orderBy(desc(analyses.createdAt), desc(analyses.id))
      .limit(limit);
  },

  /** How many tasks of the device are not done. */
  async countOpenAnalyses(database: LibSQLDatabase, { deviceId }: { readonly deviceId: string }) {
    const isUndone = inArray(analyses.status, ["STORING", "PENDING", "PROCESSING"]);
    return await database.$count(analyses, and(eq(analyses.deviceId, deviceId), isUndone));
  },

  /** Whether the device has uploaded this file. */
  async ownsAnalyzedFile(
    database: LibSQLDatabase,
    { deviceId, blobId }: { readonly deviceId: string; readonly blobId: string },
  ) {
    const isOwn = and(eq(analyses.deviceId, deviceId), eq(analyses.blobId, blobId), isStored);
    return (await database.$count(analyses, isOwn)) > 0;
  },

  /** Takes a task that nobody runs: it is the owner's until its lease ends. Undefined if there is none. */
  async claimAnalysis(
    database: LibSQLDatabase,
    {
      id,
      owner,
      now,
      leaseUntil,
    }: Omit<Lease, "run"> & { readonly now: number; readonly leaseUntil: number },
  ) {
    const runs = sql<number>`${analyses.runs} + 1`;
    const [row] = await database
      .update(analyses)
      .set({ status: "PROCESSING", owner, leaseUntil, runs, windowsDone: 0, updatedAt: now })
      .where(and(eq(analyses.id, id), isOpen(now)))
      .returning();
    return row;
  },

  /** Prolongs a lease and notes the progress. False if the task is not the owner's any more, or is gone. */
  async renewAnalysis(
    database: LibSQLDatabase,
    {
      now,
      leaseUntil,
      windowsDone,
      ...lease
    }: Lease & { now: number; leaseUntil: number; windowsDone: number },
  ) {
    const { rowsAffected } = await database
      .update(analyses)
      .set({ leaseUntil, windowsDone, updatedAt: now })
      .where(isHeld(lease));
    return rowsAffected > 0;
  },

  /** Ends a run. False, and nothing is written, if the task is not the owner's any more: one result stands. */
  async endAnalysis(
    database: LibSQLDatabase,
    { now, status, message, result, ...lease }: Lease & AnalysisEnd & { readonly now: number },
  ) {
    const isDone = status === "COMPLETED";
    const { rowsAffected } = await database
      .update(analyses)
      .set({
        status,
        message: message ?? null,
        result: result ?? null,
        owner: null,
        leaseUntil: null,
        updatedAt: now,
        ...(isDone && { windowsDone: sql`${analyses.windowsTotal}` }),
      })
      .where(isHeld(lease));
    return rowsAffected > 0;
  },

  /** Gives a task back unrun, because the gateway stops: the run does not count. */
  async releaseAnalysis(
    database: LibSQLDatabase,
    { now, ...lease }: Lease & { readonly now: number },
  ) {
    await database
      .update(analyses)
      .set({
        status: "PENDING",
        owner: null,
        leaseUntil: null,
        runs: lease.run - 1,
        updatedAt: now,
      })
      .where(isHeld(lease));
  },

  /** The ids of tasks that nobody runs, the oldest first. */
  async findOpenAnalyses(
    database: LibSQLDatabase,
    { now, limit }: { readonly now: number; readonly limit: number },
  ) {
    const rows = await database
      .select({ id: analyses.id })
      .from(analyses)
      .where(isOpen(now))
      .orderBy(asc(analyses.createdAt))
      .limit(limit);
    return rows.map(({ id }) => id);
  },

  /** Deletes tasks of the device, all of them without `id`. Answers what they were. */
  async removeAnalyses(
    database: LibSQLDatabase,
    { deviceId, id }: { readonly deviceId: string; readonly id?: string },
  ) {
    const which = id === undefined ? eq(analyses.deviceId, deviceId) : isOf({ deviceId, id });
    return await database
      .delete(analyses)
      .where(which)
      .returning({ id: analyses.id, blobId: analyses.blobId });
  },

  /** Those of the files that no task has. */
  async findUnusedFiles(database: LibSQLDatabase, { ids }: { readonly ids: readonly string[] }) {
    const rows = await database
      .selectDistinct({ id: analyses.blobId })
      .from(analyses)
      .where(inArray(analyses.blobId, [...ids]));
    const used = new Set(rows.map(({ id }) => id));
    return ids.filter((id) => !used.has(id));
  },

  /** Deletes tasks whose file was never stored: their gateway died. */
  async removeUnstoredAnalyses(database: LibSQLDatabase, { before }: { readonly before: number }) {
    await database
      .delete(analyses)
      .where(and(eq(analyses.status, "STORING"), lt(analyses.createdAt, before)));
  },
};

/** Rows behind one of the device's own, in the order of a list; none if that one is gone. */
function isBehind({ deviceId, id }: OfDevice) {
  const place = sql`(select ${analyses.createdAt}, ${analyses.id} from ${analyses} where ${analyses.deviceId} = ${deviceId} and ${analyses.id} = ${id})`;
  return sql`(${analyses.createdAt}, ${analyses.id}) < ${place}`;
}
