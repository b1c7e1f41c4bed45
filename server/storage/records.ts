/** A turn as it is stored. Times are milliseconds since 1970. */
type TurnRecord = {
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
  /** `running`, `done`, `failed`, or why the turn was cut short. */
  readonly status: string;
  /** Samples at 48 kHz that were sent. */
  readonly sentSamples: number;
  /** Names of the tiers that answered, in the order of their first answers. */
  readonly tiers: readonly string[];
  readonly ttftMs?: number;
  readonly ttfaMs?: number;
  readonly durationMs?: number;
};

/** What is known of a turn when it begins. */
export type NewTurn = Pick<TurnRecord, "deviceId" | "id" | "sessionId" | "prompt">;

/** What is known of a turn when it ends. */
export type TurnEnd = Omit<TurnRecord, keyof NewTurn | "createdAt" | "endedAt">;

/** A turn that is stored. */
export type StoredTurn = {
  /**
   * Writes how the turn ended. Resolves when that is durable, or when the turn must go on without it:
   * after the time-out, at once while the database is down. Never rejects. A second call overrides the
   * first.
   */
  end(end: TurnEnd): Promise<void>;
};

/** Stores turns. */
export type TurnStore = {
  /** Writes the turn's beginning, in the background. */
  begin(turn: NewTurn): StoredTurn;
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
