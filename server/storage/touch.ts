import type { BatchItem } from "drizzle-orm/batch";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { sql } from "./drizzle.ts";
import { devices } from "./schema.ts";

/** Notes that a device was here. */
export function touchDevice(database: LibSQLDatabase, id: string, now: number) {
  return database
    .insert(devices)
    .values({ id, createdAt: now, lastSeenAt: now })
    .onConflictDoUpdate({
      target: devices.id,
      set: { lastSeenAt: sql`max(${devices.lastSeenAt}, ${now})` },
    });
}

/** Runs statements as one: all or nothing. */
export function together(database: LibSQLDatabase, statements: readonly BatchItem<"sqlite">[]) {
  return database.batch([...statements] as [BatchItem<"sqlite">, ...BatchItem<"sqlite">[]]);
}
