import type { InStatement, InValue } from "@libsql/client";
import {
  and,
  eq,
  fillPlaceholders,
  getTableColumns,
  type InferInsertModel,
  inArray,
  lt,
  notExists,
  Param,
  Placeholder,
  type SQL,
  sql,
} from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import type { AnySQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Write } from "./records.ts";
import { devices, memories, probes, screenshots, sessions, turns, usage } from "./schema.ts";

/** Makes the statements of writes, in order: those of each device and session once. */
export type WriteStatements = (writes: readonly Write[]) => InStatement[];

/** Prepares the statements of writes: their texts are made once. */
export function prepareWrites(database: LibSQLDatabase): WriteStatements {
  const prepared = prepareAll(database);
  return (writes) => {
    const statements: InStatement[] = [];
    const touched = new Set<string>();
    const once = (key: string, statement: () => InStatement) => {
      if (!touched.has(key)) statements.push(statement());
      touched.add(key);
    };
    const touchDevice = (deviceId: string, at: number) =>
      once(deviceId, () => prepared.device({ id: deviceId, createdAt: at, lastSeenAt: at }));
    for (const write of writes) {
      if (write.type === "turn") {
        const { turn } = write;
        const lastTurnAt = turn.endedAt ?? turn.createdAt;
        touchDevice(turn.deviceId, lastTurnAt);
        once(JSON.stringify([turn.deviceId, turn.sessionId]), () =>
          prepared.session({ ...turn, id: turn.sessionId, lastTurnAt }),
        );
        statements.push(prepared.turn(turn));
      } else if (write.type === "usage") {
        touchDevice(write.usage.deviceId, write.usage.createdAt);
        statements.push(prepared.usage(write.usage));
      } else {
        statements.push(prepared.probe({ id: 1, at: Date.now() }));
      }
    }
    return statements;
  };
}

/** Each inserts a row, or brings one of the same key up to date. What a row lacks is null. */
function prepareAll(database: LibSQLDatabase) {
  const { id: _, ...usageColumns } = getTableColumns(usage);
  const { deviceId, id, createdAt, heard, inputTokens, outputTokens, ...turnColumns } =
    getTableColumns(turns);
  return {
    device: prepare(
      database
        .insert(devices)
        .values(placeholders<typeof devices>(getTableColumns(devices)))
        .onConflictDoUpdate({ target: devices.id, set: { lastSeenAt: later(devices.lastSeenAt) } }),
    ),
    session: prepare(
      database
        .insert(sessions)
        .values(placeholders<typeof sessions>(getTableColumns(sessions)))
        .onConflictDoUpdate({
          target: [sessions.deviceId, sessions.id],
          set: { lastTurnAt: later(sessions.lastTurnAt) },
        }),
    ),
    turn: prepare(
      database
        .insert(turns)
        .values(placeholders<typeof turns>({ deviceId, id, createdAt, ...turnColumns }))
        .onConflictDoUpdate({
          target: [turns.deviceId, turns.id],
          set: Object.fromEntries(
            Object.entries(turnColumns).map(([key, { name }]) => [key, excluded(name)]),
          ),
        }),
    ),
    usage: prepare(database.insert(usage).values(placeholders<typeof usage>(usageColumns))),
    probe: prepare(
      database
        .insert(probes)
        .values(placeholders<typeof probes>(getTableColumns(probes)))
        .onConflictDoUpdate({ target: probes.id, set: { at: excluded("at") } }),
    ),
  };
}

type Preparable = { prepare(): { getQuery(): { sql: string; params: unknown[] } } };

function prepare(query: Preparable): (row: object) => InStatement {
  const { sql: text, params } = query.prepare().getQuery();
  const names = params.map(nameOf);
  return (row) => {
    const values = Object.fromEntries(
      names.map((name) => [name, row[name as keyof object] ?? null]),
    );
    return { sql: text, args: fillPlaceholders(params, values) as InValue[] };
  };
}

/** The column that a placeholder stands for, in a parameter that encodes its value or by itself. */
function nameOf(param: unknown): string {
  const value = param instanceof Param ? param.value : param;
  if (value instanceof Placeholder) return value.name as string;
  throw new Error("a prepared statement has a fixed value");
}

function placeholders<Table extends SQLiteTable>(columns: object): InferInsertModel<Table> {
  const named = Object.keys(columns).map((name) => [name, sql.placeholder(name)]);
  return Object.fromEntries(named) as InferInsertModel<Table>;
}

/** The value that the conflicting row has brought. */
function excluded(column: string): SQL {
  return sql`excluded.${sql.identifier(column)}`;
}

function later(column: AnySQLiteColumn): SQL {
  return sql`max(${column}, ${excluded(column.name)})`;
}

/** The tables that hold what belongs to a device, beside `devices` itself. */
const deviceTables = { sessions, turns, screenshots, memories, usage };

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
  const hasNothing = [turns, memories].map((table) =>
    notExists(database.select({ one: sql`1` }).from(table).where(eq(table.deviceId, devices.id))),
  );
  return [
    some(turns, turns.createdAt, before),
    some(usage, usage.createdAt, before),
    some(screenshots, screenshots.createdAt, before),
    some(memories, memories.expiresAt, now),
    some(sessions, sessions.lastTurnAt, before),
    database.delete(devices).where(and(lt(devices.lastSeenAt, before), ...hasNothing)),
  ];
}
