import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { and, eq, gt, lte } from "./drizzle.ts";
import { analysisLogins, analysisUsers } from "./schema.ts";
import { together } from "./touch.ts";

// Users of the front end that logs in by itself, and their tokens.

/** A user as it is stored. */
export type UserRow = typeof analysisUsers.$inferSelect;

type Login = typeof analysisLogins.$inferInsert;

/** The calls, by name. */
export const userCalls = {
  /** Adds a user. False if the name is taken. */
  async addUser(database: LibSQLDatabase, row: UserRow) {
    const { rowsAffected } = await database.insert(analysisUsers).values(row).onConflictDoNothing();
    return rowsAffected > 0;
  },

  async findUser(database: LibSQLDatabase, { name }: { readonly name: string }) {
    const [row] = await database
      .select()
      .from(analysisUsers)
      .where(eq(analysisUsers.name, name))
      .limit(1);
    return row;
  },

  /** Adds a token, and takes those away that have expired. */
  async addLogin(database: LibSQLDatabase, { now, ...login }: Login & { readonly now: number }) {
    await together(database, [
      database.delete(analysisLogins).where(lte(analysisLogins.expiresAt, now)),
      database.insert(analysisLogins).values(login),
    ]);
  },

  /** The user of a token that has not expired. */
  async findLogin(
    database: LibSQLDatabase,
    { tokenHash, now }: { readonly tokenHash: string; readonly now: number },
  ) {
    const isValid = and(eq(analysisLogins.tokenHash, tokenHash), gt(analysisLogins.expiresAt, now));
    const [row] = await database
      .select({ user: analysisUsers })
      .from(analysisLogins)
      .innerJoin(analysisUsers, eq(analysisUsers.id, analysisLogins.userId))
      .where(isValid)
      .limit(1);
    return row?.user;
  },
};
