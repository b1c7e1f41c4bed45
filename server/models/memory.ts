/** `short` facts are forgotten after a day; `long` ones stay until they are replaced or forgotten. */
export type MemoryTerm = "short" | "long";

/** Something to remember of a user. */
export type NewFact = {
  /** One sentence in the user's language, 500 characters at most, without control characters. */
  readonly fact: string;
  readonly term: MemoryTerm;
  /**
   * What the fact is about: `name`, `taste:coffee`. A later fact about the same replaces it. Absent where
   * that is not known.
   */
  readonly key?: string;
};

/** A fact that is remembered of a device's user. */
export type Memory = NewFact & {
  /** Unique among all memories. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Milliseconds since 1970. Absent: it does not expire. */
  readonly expiresAt?: number;
};

/** What a distiller gets to know of a memory. */
export type KnownFact = Pick<Memory, "id" | "fact" | "key" | "term">;

/** What one turn changes of a device's memory. */
export type MemoryChange = {
  readonly add: readonly NewFact[];
  /** Ids of memories that no longer hold. Unknown ones are ignored. */
  readonly remove: readonly string[];
};

/** A text's place in the space of an embedding model. Only vectors of the same model can be compared. */
export type Embedding = { readonly model: string; readonly vector: Float32Array };

/** A change, with the embeddings of the facts that it adds. */
export type EmbeddedChange = {
  readonly add: readonly (NewFact & { readonly embedding?: Embedding })[];
  readonly remove: readonly string[];
};

/** Characters (code points) that the memories of one device may take together. The oldest go first. */
export const MAX_MEMORY_CHARACTERS = 10_240;
/** Milliseconds for which a short-term memory is kept. */
export const SHORT_TERM_MS = 24 * 3_600_000;

/**
 * Keeps memories by device. Every method rejects with an `Error` if the store fails, and with the
 * signal's reason when that fires. No method answers with another device's memories or changes them.
 */
export type MemoryStore = {
  /** All memories of the device that have not expired, oldest first. */
  list(deviceId: string, signal: AbortSignal): Promise<readonly Memory[]>;
  /**
   * Those memories whose embeddings by the same model are nearest to `to`, nearest first, `count` at most.
   */
  nearest(
    deviceId: string,
    query: { readonly to: Embedding; readonly count: number },
    signal: AbortSignal,
  ): Promise<readonly Memory[]>;
  /**
   * Removes and adds, all or nothing. Then the oldest go, short-term ones first, until the rest is within
   * `MAX_MEMORY_CHARACTERS`.
   */
  change(deviceId: string, change: EmbeddedChange, signal: AbortSignal): Promise<void>;
  /** Deletes memories by id, or all of the device. Answers how many there were. */
  forget(deviceId: string, ids: readonly string[] | "all", signal: AbortSignal): Promise<number>;
};

/** Turns texts into vectors: texts of similar meaning are near each other. */
export type Embedder = {
  /** The model's name, which is stored with each vector. */
  readonly model: string;
  /**
   * One vector for each text, in their order. `query`: the texts are compared with those embedded as
   * `fact`. Throws a `ProviderError`, or the signal's reason.
   */
  embed(
    texts: readonly string[],
    use: "fact" | "query",
    signal: AbortSignal,
  ): Promise<readonly Float32Array[]>;
};
