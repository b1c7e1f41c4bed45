/** A turn as it is stored. Times are milliseconds since 1970. */
export type TurnRecord = {
  readonly deviceId: string;
  /** Unique among the device's turns. */
  readonly id: string;
  readonly sessionId: string;
  readonly createdAt: number;
  readonly endedAt?: number;
  /** The user's words. Absent if the client gave the reply, to be spoken as it stands. */
  readonly prompt?: string;
  /** The reply, as far as it was sent. */
  readonly reply: string;
  /** The reply as far as it was heard, cut behind a word. Absent: all of what was sent. */
  readonly heard?: string;
  /** `running`, `done`, `partial`, `failed`, or why the turn was cut short. */
  readonly status: string;
  /** Samples at 48 kHz that were sent, and that were heard. Absent: all that were sent. */
  readonly sentSamples: number;
  readonly heardSamples?: number;
  /** Names of the tiers that answered, in the order of their first answers. */
  readonly tiers: readonly string[];
  readonly ttftMs?: number;
  readonly ttfaMs?: number;
  readonly durationMs?: number;
  /** Tokens of all calls of language models, as their vendors counted them. Absent: none told. */
  readonly inputTokens?: number;
  readonly outputTokens?: number;
};

/** What is known of a turn when it begins. */
export type NewTurn = Pick<TurnRecord, "deviceId" | "id" | "sessionId" | "prompt">;

/** What is known of a turn later: while it runs, when it ends, and when more is known of what was heard. */
export type TurnState = Omit<TurnRecord, keyof NewTurn | "createdAt" | "endedAt">;

/** A turn that is kept. */
export type KeptTurn = {
  /**
   * Writes the turn as it stands now: the last write counts. Resolves when it is durable, or when the
   * turn must go on without it: after the time-out, at once while the database is down. Never rejects.
   */
  write(state: TurnState): Promise<void>;
};

/** A turn of a session, for the prompts after it. */
export type RecalledTurn = Pick<TurnRecord, "id" | "reply" | "heard"> & { readonly prompt: string };

/** Which turns are recalled. */
export type RecallQuery = {
  readonly deviceId: string;
  readonly sessionId: string;
  /** Milliseconds since 1970. Turns of a session that rested since then are forgotten. */
  readonly since: number;
  /** The latest so many. */
  readonly limit: number;
};

/** Keeps turns in a database. */
export type TurnStore = {
  /** Writes the turn's beginning, in the background. */
  begin(turn: NewTurn): KeptTurn;
  /**
   * A session's turns that have ended with a reply, oldest first. Undefined if the database does not
   * answer in time; at once while it is down. Never rejects.
   */
  recall(query: RecallQuery): Promise<readonly RecalledTurn[] | undefined>;
};

/** Tokens that a client reported. */
export type UsageRecord = {
  readonly deviceId: string;
  readonly sessionId?: string;
  readonly createdAt: number;
  readonly source: string;
  readonly model: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
};

/** What is stored of a screenshot beside the picture. */
export type ScreenshotRow = {
  readonly deviceId: string;
  /** SHA-256 of the picture in hexadecimal: its id in the blob store. */
  readonly id: string;
  readonly turnId: string;
  /** `jpeg`, `png` or `webp`. */
  readonly format: string;
  /** Characters of the picture in base64. */
  readonly base64Length: number;
  /** Pixels of the user's screen, if known. */
  readonly screenWidth?: number;
  readonly screenHeight?: number;
};

/**
 * What is written. A turn is written when it begins and again when it ends, each time as a whole and by
 * its id: the second one stands also if the first was lost.
 */
export type Write =
  | { readonly type: "turn"; readonly turn: TurnRecord }
  | { readonly type: "usage"; readonly usage: UsageRecord }
  /** Learns whether the database takes writes. */
  | { readonly type: "probe" };
