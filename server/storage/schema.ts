import { blob, index, integer, primaryKey, real, sql, sqliteTable, text } from "./drizzle.ts";

// Times are milliseconds since 1970. Every id that a client chooses belongs to its device alone, so
// the device is part of each key: one device cannot overwrite the rows of another. Migrations only
// add tables and columns that may be absent, so that an older gateway can share the database.

/** Devices, by the id that they send. */
export const devices = sqliteTable("devices", {
  id: text().primaryKey(),
  createdAt: integer("created_at").notNull(),
  lastSeenAt: integer("last_seen_at").notNull(),
});

/** Sessions of devices. */
export const sessions = sqliteTable(
  "sessions",
  {
    deviceId: text("device_id").notNull(),
    id: text().notNull(),
    createdAt: integer("created_at").notNull(),
    lastTurnAt: integer("last_turn_at").notNull(),
    /**
     * `active`; `interrupted` after an interrupt, until the next turn; `timeout` once it was idle for too
     * long; `ended` if its gateway stopped in order.
     */
    status: text().notNull().default("active"),
    /** Absent while it can be taken up by a device's next turn. */
    endedAt: integer("ended_at"),
    /** The run of the gateway that had its last turn. */
    gateway: text(),
  },
  (table) => [
    primaryKey({ columns: [table.deviceId, table.id] }),
    index("sessions_by_time").on(table.lastTurnAt),
  ],
);

/** Turns: what was asked, what was answered, and how it went. */
export const turns = sqliteTable(
  "turns",
  {
    deviceId: text("device_id").notNull(),
    id: text().notNull(),
    sessionId: text("session_id").notNull(),
    createdAt: integer("created_at").notNull(),
    /** Absent while the turn runs, and if the gateway died in it. */
    endedAt: integer("ended_at"),
    /** The user's words. Absent if the reply was given by the client, to be spoken as it stands. */
    prompt: text(),
    /** The reply, as far as it was sent. */
    reply: text().notNull().default(""),
    /** The reply, as far as it was heard. Absent: all of what was sent. */
    heard: text(),
    /** Samples of the reply at 48 kHz that were heard. Absent: all that were sent. */
    heardSamples: integer("heard_samples"),
    /** `running`, `done`, `failed`, or why the turn was cut short. */
    status: text().notNull(),
    /** Samples of the reply at 48 kHz that were sent: where an interrupted reply broke off. */
    sentSamples: integer("sent_samples").notNull().default(0),
    /** Names of the tiers that answered, in the order of their first answers. */
    tiers: text({ mode: "json" }).$type<readonly string[]>().notNull().default([]),
    ttftMs: integer("ttft_ms"),
    ttfaMs: integer("ttfa_ms"),
    durationMs: integer("duration_ms"),
    /** Tokens of all calls of language models, as their vendors counted them. Absent: none told. */
    inputTokens: integer("input_tokens"),
    outputTokens: integer("output_tokens"),
  },
  (table) => [
    primaryKey({ columns: [table.deviceId, table.id] }),
    index("turns_by_session").on(table.deviceId, table.sessionId, table.createdAt),
    index("turns_by_time").on(table.createdAt),
  ],
);

/** Screenshots that stand in the blob store. */
export const screenshots = sqliteTable(
  "screenshots",
  {
    deviceId: text("device_id").notNull(),
    /** SHA-256 of the picture, in hexadecimal: its name in the blob store. */
    id: text().notNull(),
    turnId: text("turn_id").notNull(),
    createdAt: integer("created_at").notNull(),
    format: text().notNull(),
    base64Length: integer("base64_length").notNull(),
    screenWidth: integer("screen_width"),
    screenHeight: integer("screen_height"),
  },
  (table) => [
    primaryKey({ columns: [table.deviceId, table.id, table.turnId] }),
    index("screenshots_by_time").on(table.createdAt),
    index("screenshots_by_id").on(table.id),
  ],
);

/** What is remembered of a device's user. */
export const memories = sqliteTable(
  "memories",
  {
    deviceId: text("device_id").notNull(),
    id: text().notNull(),
    /** `short` or `long`. */
    term: text().notNull(),
    fact: text().notNull(),
    createdAt: integer("created_at").notNull(),
    /** Absent: it does not expire. */
    expiresAt: integer("expires_at"),
    /** What the fact is about, where that is known: `name`. */
    key: text(),
    /** The fact's vector: 32-bit floats, as libSQL's functions take them. */
    embedding: blob({ mode: "buffer" }),
    /** The model that made it. Vectors of others cannot be compared with it. */
    embeddingModel: text("embedding_model"),
  },
  (table) => [
    primaryKey({ columns: [table.deviceId, table.id] }),
    index("memories_by_expiry").on(table.expiresAt),
  ],
);

/** Tokens that clients spent, one row for each report. */
export const usage = sqliteTable(
  "usage",
  {
    id: integer().primaryKey(),
    deviceId: text("device_id").notNull(),
    sessionId: text("session_id"),
    createdAt: integer("created_at").notNull(),
    source: text().notNull(),
    model: text().notNull(),
    inputTokens: integer("input_tokens").notNull(),
    outputTokens: integer("output_tokens").notNull(),
  },
  (table) => [
    index("usage_by_device").on(table.deviceId),
    index("usage_by_time").on(table.createdAt),
  ],
);

/** Files whose sound was or will be analyzed: the task, and its result. The file is in the blob store. */
export const analyses = sqliteTable(
  "analyses",
  {
    deviceId: text("device_id").notNull(),
    /** Made by the gateway: a UUID. */
    id: text().primaryKey(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    /** SHA-256 of the file: its name in the blob store. */
    blobId: text("blob_id").notNull(),
    filename: text().notNull(),
    fileSize: integer("file_size").notNull(),
    /** What the file is, by its content: `mp3`. */
    format: text().notNull(),
    durationSeconds: real("duration_seconds").notNull(),
    /** `STORING` until the file is stored; then a status of the contract. */
    status: text().notNull(),
    /** Why there is no result. */
    message: text(),
    windowsDone: integer("windows_done").notNull().default(0),
    windowsTotal: integer("windows_total").notNull(),
    /** Runs that have begun. */
    runs: integer().notNull().default(0),
    /** The gateway that runs it, and until when that counts unless it is prolonged. */
    owner: text(),
    leaseUntil: integer("lease_until"),
    result: text({ mode: "json" }).$type<object>(),
  },
  (table) => [
    index("analyses_by_device").on(table.deviceId, table.createdAt),
    index("analyses_by_status").on(table.status, table.createdAt),
    index("analyses_by_blob").on(table.blobId),
    index("analyses_by_time").on(table.createdAt),
  ],
);

/** Users of the front end that logs in by itself (`ANALYSIS_UPLOAD=sync`). Their id is their device's. */
export const analysisUsers = sqliteTable("analysis_users", {
  id: text().primaryKey(),
  createdAt: integer("created_at").notNull(),
  /** What they log in with, in lower case: a user name or a mail address. */
  name: text().notNull().unique(),
  /** The password's scrypt hash, with its parameters and salt. */
  password: text().notNull(),
});

/** Tokens of those users, by their SHA-256. */
export const analysisLogins = sqliteTable(
  "analysis_logins",
  {
    tokenHash: text("token_hash").primaryKey(),
    userId: text("user_id").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (table) => [index("analysis_logins_by_time").on(table.expiresAt)],
);

/** One row that is written to learn whether the database takes writes again. */
export const probes = sqliteTable("probes", {
  id: integer().primaryKey(),
  at: integer().notNull().default(sql`0`),
});
