import type { SQL } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import type { AnySQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import {
  and,
  desc,
  eq,
  getTableColumns,
  inArray,
  isNotNull,
  isNull,
  lt,
  ne,
  notExists,
  sql,
} from "./drizzle.ts";
import type { RecalledTurn, RecallQuery } from "./records.ts";
import { analyses, devices, memories, screenshots, sessions, turns, usage } from "./schema.ts";

/** What `TurnStore.recall` answers. */
export async function recallTurns(
  database: LibSQLDatabase,
  { deviceId, sessionId, since, limit }: RecallQuery,
): Promise<readonly RecalledTurn[]> {
  const { id, prompt, reply, heard, endedAt } = turns;
  const rows = await database
    .select({ id, prompt, reply, heard, endedAt })
    .from(turns)
    .where(
      and(
        eq(turns.deviceId, deviceId),
        eq(turns.sessionId, sessionId),
        isNotNull(prompt),
        isNotNull(endedAt),
        ne(reply, ""),
      ),
    )
    .orderBy(desc(turns.createdAt), desc(sql`rowid`))
    .limit(limit);
  const latest = Math.max(...rows.map((row) => row.endedAt ?? 0));
  if (latest < since) return [];
  return rows.reverse().map((row) => ({
    id: row.id,
    prompt: row.prompt ?? "",
    reply: row.reply,
    ...(row.heard !== null && { heard: row.heard }),
  }));
}

/** Ends the sessions that were idle since `before`. */
export function endIdleSessions(database: LibSQLDatabase, before: number, now: number) {
  const isIdle = and(isNull(sessions.endedAt), lt(sessions.lastTurnAt, before));
  return endSessions(database, isIdle, { status: "timeout", now });
}

/** Ends the sessions of a run of a gateway, which stops. */
export function endSessionsOf(database: LibSQLDatabase, gateway: string, now: number) {
  const isOwn = and(isNull(sessions.endedAt), eq(sessions.gateway, gateway));
  return endSessions(database, isOwn, { status: "ended", now });
}

/** One that was interrupted last stays so. */
function endSessions(
  database: LibSQLDatabase,
  which: SQL | undefined,
  { status, now }: { readonly status: string; readonly now: number },
) {
  const next = sql`case ${sessions.status} when 'active' then ${status} else ${sessions.status} end`;
  return database.update(sessions).set({ status: next, endedAt: now }).where(which);
}

/** The tables that hold what belongs to a device, beside `devices` itself. */
const deviceTables = { sessions, turns, screenshots, memories, usage, analyses };

/** All that is kept of a device, by table, in the order in which it came; nothing if it is unknown. */
export async function readDevice(
  database: LibSQLDatabase,
  deviceId: string,
): Promise<Readonly<Record<string, readonly object[]>>> {
  const found: Record<string, readonly object[]> = {
    devices: await database.select().from(devices).where(eq(devices.id, deviceId)),
  };
  for (const [name, table] of Object.entries(deviceTables)) {
    const { createdAt } = getTableColumns(table);
    found[name] = await database
      .select()
      .from(table)
      .where(eq(table.deviceId, deviceId))
      .orderBy(createdAt);
  }
  return found;
}

/** Deletes all that is kept of a device, in one transaction. Answers how many rows of each table. */
export async function eraseDevice(
  database: LibSQLDatabase,
  deviceId: string,
): Promise<Readonly<Record<string, number>>> {
  const statements = [
    database.delete(devices).where(eq(devices.id, deviceId)),
    ...Object.values(deviceTables).map((table) =>
      database.delete(table).where(eq(table.deviceId, deviceId)),
    ),
  ] as const;
  const results = await database.batch([...statements] as [
    BatchItem<"sqlite">,
    ...BatchItem<"sqlite">[],
  ]);
  const names = ["devices", ...Object.keys(deviceTables)];
  return Object.fromEntries(
    names.map((name, index) => [name, (results[index] as { rowsAffected: number }).rowsAffected]),
  );
}

/** Rows that one statement deletes: it must not hold up the turns for long. */
const PURGED_AT_ONCE = 500;

/**
 * The deletions of what is older than a time, and of memories that have expired. Each deletes some rows
 * when it is run; one that deletes none has nothing left to do.
 */
export function purgeStatements(database: LibSQLDatabase, before: number, now: number) {
  const some = (table: SQLiteTable, column: AnySQLiteColumn, limit: number) =>
    database
      .delete(table)
      .where(
        inArray(
          sql`rowid`,
          database
            .select({ rowid: sql`rowid` })
            .from(table)
            .where(lt(column, limit))
            .limit(PURGED_AT_ONCE),
        ),
      );
  const hasNothing = [turns, memories, analyses].map((table) =>
    notExists(database.select({ one: sql`1` }).from(table).where(eq(table.deviceId, devices.id))),
  );
  return [
    some(turns, turns.createdAt, before),
    some(usage, usage.createdAt, before),
    some(screenshots, screenshots.createdAt, before),
    some(analyses, analyses.createdAt, before),
    some(memories, memories.expiresAt, now),
    some(sessions, sessions.lastTurnAt, before),
    database.delete(devices).where(and(lt(devices.lastSeenAt, before), ...hasNothing)),
  ];
}
