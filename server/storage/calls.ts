import type { SQL } from "drizzle-orm";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import {
  type EmbeddedChange,
  type Embedding,
  MAX_MEMORY_CHARACTERS,
  type Memory,
} from "../models/memory.ts";
import { analysisCalls } from "./analysis-calls.ts";
import {
  and,
  asc,
  eq,
  getTableColumns,
  gt,
  gte,
  inArray,
  isNull,
  lte,
  or,
  sql,
} from "./drizzle.ts";
import type { ScreenshotRow } from "./records.ts";
import { memories, screenshots, turns, usage } from "./schema.ts";
import { recallTurns } from "./statements.ts";
import { together, touchDevice } from "./touch.ts";
import { userCalls } from "./user-calls.ts";

// What the thread is asked beside the writes of turns: each runs by itself, and answers.

type OfDevice = { readonly deviceId: string; readonly now: number };

/** A fact with what the thread cannot know: its id, and its times. */
export type AddedMemory = Memory & Pick<EmbeddedChange["add"][number], "embedding">;

/** All calls, by name. */
export const calls = {
  ...analysisCalls,
  ...userCalls,

  /** As `TurnStore.recall`. */
  recallTurns,

  /** What a device was sent in samples at 48 kHz, and what it spent in tokens, since a time. */
  async readUsed(
    database: LibSQLDatabase,
    { deviceId, since }: { readonly deviceId: string; readonly since: number },
  ) {
    const sumOf = async (table: typeof turns | typeof usage, sum: SQL<number>) => {
      const isMeant = and(eq(table.deviceId, deviceId), gte(table.createdAt, since));
      const [row] = await database
        .select({ sum: sql<number>`coalesce(sum(${sum}), 0)` })
        .from(table)
        .where(isMeant);
      return row?.sum ?? 0;
    };
    const { inputTokens, outputTokens, sentSamples } = turns;
    const ofTurns = sql<number>`coalesce(${inputTokens}, 0) + coalesce(${outputTokens}, 0)`;
    const ofReports = sql<number>`${usage.inputTokens} + ${usage.outputTokens}`;
    return {
      samples: await sumOf(turns, sql`${sentSamples}`),
      tokens: (await sumOf(turns, ofTurns)) + (await sumOf(usage, ofReports)),
    };
  },

  /** As `MemoryStore.list`. */
  async listMemories(database: LibSQLDatabase, { deviceId, now }: OfDevice) {
    const rows = await database
      .select(memoryColumns)
      .from(memories)
      .where(isKept(deviceId, now))
      .orderBy(asc(memories.createdAt), asc(sql`rowid`));
    return rows.map(memoryOf);
  },

  /** As `MemoryStore.nearest`. A device has few memories: no index is needed. */
  async nearestMemories(
    database: LibSQLDatabase,
    { deviceId, now, to, count }: OfDevice & { readonly to: Embedding; readonly count: number },
  ) {
    const distance = sql`vector_distance_cos(${memories.embedding}, ${bytesOf(to.vector)})`;
    const isComparable = and(
      eq(memories.embeddingModel, to.model),
      eq(sql`length(${memories.embedding})`, to.vector.byteLength),
    );
    const rows = await database
      .select(memoryColumns)
      .from(memories)
      .where(and(isKept(deviceId, now), isComparable))
      .orderBy(distance)
      .limit(count);
    return rows.map(memoryOf);
  },

  /** As `MemoryStore.change`. */
  async changeMemories(
    database: LibSQLDatabase,
    change: OfDevice & { readonly add: readonly AddedMemory[]; readonly remove: readonly string[] },
  ) {
    const { deviceId, now, add, remove } = change;
    const rows = add.map(({ embedding, ...memory }) => ({
      ...memory,
      deviceId,
      ...(embedding && {
        embedding: bytesOf(embedding.vector),
        embeddingModel: embedding.model,
      }),
    }));
    await together(database, [
      touchDevice(database, deviceId, now),
      database.delete(memories).where(isNamed(deviceId, remove)),
      database.delete(memories).where(hasExpired(deviceId, now)),
      ...rows.map((row) => database.insert(memories).values(row)),
      database
        .delete(memories)
        .where(
          and(eq(memories.deviceId, deviceId), sql`${memories.id} in ${beyondLimit(deviceId)}`),
        ),
    ]);
  },

  /** As `MemoryStore.forget`. */
  async forgetMemories(
    database: LibSQLDatabase,
    { deviceId, now, ids }: OfDevice & { readonly ids: readonly string[] | "all" },
  ) {
    const which = ids === "all" ? eq(memories.deviceId, deviceId) : isNamed(deviceId, ids);
    const results = await together(database, [
      database.delete(memories).where(hasExpired(deviceId, now)),
      database.delete(memories).where(which),
    ]);
    return (results.at(-1) as { rowsAffected: number }).rowsAffected;
  },

  async addScreenshot(database: LibSQLDatabase, row: ScreenshotRow & { readonly now: number }) {
    const { now, ...screenshot } = row;
    await together(database, [
      touchDevice(database, row.deviceId, now),
      database
        .insert(screenshots)
        .values({ ...screenshot, createdAt: now })
        .onConflictDoNothing(),
    ]);
  },

  async findScreenshot(
    database: LibSQLDatabase,
    { deviceId, id }: { readonly deviceId: string; readonly id: string },
  ) {
    const [row] = await database
      .select({ format: screenshots.format })
      .from(screenshots)
      .where(and(eq(screenshots.deviceId, deviceId), eq(screenshots.id, id)))
      .limit(1);
    return row;
  },

  async removeScreenshot(database: LibSQLDatabase, { id }: { readonly id: string }) {
    await database.delete(screenshots).where(eq(screenshots.id, id));
  },

  /** Those of the ids that have no row. */
  async findOrphans(database: LibSQLDatabase, { ids }: { readonly ids: readonly string[] }) {
    const { id } = screenshots;
    const rows = await database
      .selectDistinct({ id })
      .from(screenshots)
      .where(inArray(id, [...ids]));
    const kept = new Set(rows.map((row) => row.id));
    return ids.filter((each) => !kept.has(each));
  },
};

/** The name of a call. */
export type CallName = keyof typeof calls;
/** What a call is given. */
export type ArgumentsOf<Name extends CallName> = Parameters<(typeof calls)[Name]>[1];
/** What a call answers. */
export type AnswerOf<Name extends CallName> = Awaited<ReturnType<(typeof calls)[Name]>>;

const {
  embedding: _,
  embeddingModel: __,
  deviceId: ___,
  ...memoryColumns
} = getTableColumns(memories);

type MemoryRow = Omit<typeof memories.$inferSelect, "deviceId" | "embedding" | "embeddingModel">;

function memoryOf({ key, expiresAt, term, ...row }: MemoryRow): Memory {
  return {
    ...row,
    term: term === "short" ? "short" : "long",
    ...(key !== null && { key }),
    ...(expiresAt !== null && { expiresAt }),
  };
}

function isKept(deviceId: string, now: number): SQL | undefined {
  const { expiresAt } = memories;
  return and(eq(memories.deviceId, deviceId), or(isNull(expiresAt), gt(expiresAt, now)));
}

function hasExpired(deviceId: string, now: number): SQL | undefined {
  return and(eq(memories.deviceId, deviceId), lte(memories.expiresAt, now));
}

/** The device is part of it: an id of another's memory is an unknown one. */
function isNamed(deviceId: string, ids: readonly string[]): SQL | undefined {
  return and(eq(memories.deviceId, deviceId), inArray(memories.id, [...ids]));
}

/** The oldest memories that do not fit, short-term ones before long-term ones. */
function beyondLimit(deviceId: string): SQL {
  const { id, fact, term, createdAt } = memories;
  const sum = sql`sum(length(${fact})) over (order by ${term} = 'long' desc, ${createdAt} desc, rowid desc rows unbounded preceding)`;
  return sql`(select id from (select ${id} as id, ${sum} as characters from ${memories} where ${memories.deviceId} = ${deviceId}) where characters > ${MAX_MEMORY_CHARACTERS})`;
}

/** As libSQL has vectors of 32-bit floats. */
function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
