import { createRequire } from "node:module";
import type * as client from "@libsql/client";
import type * as core from "drizzle-orm";
import type * as libsql from "drizzle-orm/libsql";
import type * as migrator from "drizzle-orm/libsql/migrator";
import type * as tables from "drizzle-orm/sqlite-core";

// For each of drizzle's hundred ES modules Node takes its large package.json apart again: 1.4 s of
// processor time in all, and 0.3 s for the same as CommonJS.
const load = createRequire(import.meta.url);

/** Opens a database: libSQL's own client. */
export const { createClient } = load("@libsql/client") as typeof client;

/** Expressions of statements. */
export const {
  and,
  asc,
  desc,
  eq,
  fillPlaceholders,
  getTableColumns,
  gt,
  gte,
  inArray,
  isNotNull,
  isNull,
  lt,
  lte,
  ne,
  notExists,
  or,
  Param,
  Placeholder,
  sql,
} = load("drizzle-orm") as typeof core;

/** Makes statements for a client. */
export const { drizzle } = load("drizzle-orm/libsql") as typeof libsql;

/** Applies migrations. */
export const { migrate } = load("drizzle-orm/libsql/migrator") as typeof migrator;

/** Describes tables. */
export const { blob, index, integer, primaryKey, real, sqliteTable, text } = load(
  "drizzle-orm/sqlite-core",
) as typeof tables;
