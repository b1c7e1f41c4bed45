import type { InStatement, InValue } from "@libsql/client";
import type { InferInsertModel, SQL } from "drizzle-orm";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import type { AnySQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { fillPlaceholders, getTableColumns, Param, Placeholder, sql } from "./drizzle.ts";
import type { TurnRecord, Write } from "./records.ts";
import { devices, probes, sessions, turns, usage } from "./schema.ts";

/** Makes the statements of writes, in order: those of each device and session once, by the last write. */
export type WriteStatements = (writes: readonly Write[]) => InStatement[];

/** Prepares the statements of the writes of one run of a gateway: their texts are made once. */
export function prepareWrites(database: LibSQLDatabase, gateway: string): WriteStatements {
  const prepared = prepareAll(database);
  return (writes) => {
    const statements: InStatement[] = [];
    const touched = new Map<string, InStatement>();
    const touchDevice = (deviceId: string, at: number) =>
      touched.set(deviceId, prepared.device({ id: deviceId, createdAt: at, lastSeenAt: at }));
    for (const write of writes) {
      if (write.type === "turn") {
        const { turn } = write;
        touchDevice(turn.deviceId, turn.endedAt ?? turn.createdAt);
        const key = JSON.stringify([turn.deviceId, turn.sessionId]);
        touched.set(key, prepared.session({ ...sessionOf(turn), gateway }));
        statements.push(prepared.turn(turn));
      } else if (write.type === "usage") {
        touchDevice(write.usage.deviceId, write.usage.createdAt);
        statements.push(prepared.usage(write.usage));
      } else {
        statements.push(prepared.probe({ id: 1, at: Date.now() }));
      }
    }
    return [...statements, ...touched.values()];
  };
}

/** What a turn says of its session. */
function sessionOf({ deviceId, sessionId, createdAt, endedAt, status }: TurnRecord) {
  return {
    deviceId,
    id: sessionId,
    createdAt,
    lastTurnAt: endedAt ?? createdAt,
    status: status === "interrupted" ? "interrupted" : "active",
  };
}

/** Each inserts a row, or brings one of the same key up to date. What a row lacks is null. */
function prepareAll(database: LibSQLDatabase) {
  const { id: _, ...usageColumns } = getTableColumns(usage);
  const { deviceId, id, createdAt, ...turnColumns } = getTableColumns(turns);
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
          set: {
            lastTurnAt: later(sessions.lastTurnAt),
            gateway: excluded("gateway"),
            ...statusAfterTurn(),
          },
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

/** A turn opens its session again if that ended before. Its status counts if no later turn has begun. */
function statusAfterTurn() {
  const begun = sql.placeholder("createdAt");
  const { deviceId, sessionId, createdAt } = turns;
  const isLast = sql`not exists (select 1 from ${turns} where ${deviceId} = ${excluded("device_id")}
    and ${sessionId} = ${excluded("id")} and ${createdAt} > ${begun})`;
  const isOpen = sql`(${sessions.endedAt} is null or ${begun} >= ${sessions.endedAt})`;
  return {
    status: sql`case when ${isOpen} and ${isLast} then ${excluded("status")} else ${sessions.status} end`,
    endedAt: sql`case when ${isOpen} then null else ${sessions.endedAt} end`,
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
