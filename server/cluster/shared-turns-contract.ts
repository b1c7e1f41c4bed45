/** A turn by its names. Another device's turn of the same id is another turn. */
export type TurnName = { readonly deviceId: string; readonly turnId: string };

/** What an owner writes. */
export type OwnerWrite = {
  /** Chunks in order, encoded. */
  readonly chunks?: readonly Uint8Array[];
  /** The number behind which they come. */
  readonly after: number;
  /** The number of the last chunk that may be sent. */
  readonly sent: number;
  /** The number of the first chunk that the owner keeps. */
  readonly first: number;
  /** How far the turn is; absent if nothing changed. */
  readonly progress?: string;
  /** How it ended, if it did. */
  readonly end?: string;
};

/** What an owner learns when it writes. */
export type OwnerView =
  /** Another instance owns the turn; Redis has lost it, or a part; it was interrupted. */
  | { readonly state: "lost" | "unknown" | "interrupted" }
  | {
      readonly state: "ok";
      /** The last reader's. */
      readonly token: number;
      /** Whether it is there. */
      readonly isRead: boolean;
      /** The number of the last chunk that it took. */
      readonly taken: number;
      /** The samples that the client reported as played, at whichever instance. */
      readonly reported?: number;
      /** The number of the first chunk that no client has confirmed. */
      readonly first: number;
    };

/** How a reader begins. */
export type Attached =
  | { readonly state: "unknown" | "interrupted" }
  /** The place is not kept any more, or not sent yet: how far it must be at least, or at most. */
  | { readonly state: "gone" | "unsent"; readonly bound: number }
  | { readonly state: "ok"; readonly token: number };

/** What a reader finds. */
export type Followed =
  | { readonly state: "unknown" | "interrupted" | "replaced" }
  | {
      readonly state: "ok";
      readonly chunks: readonly StoredChunk[];
      /** False if the instance that runs the turn is gone. */
      readonly isOwned: boolean;
      /** How the turn ended; "" if it did not. */
      readonly end: string;
    };

/** A chunk that stands in Redis. */
export type StoredChunk = { readonly sequence: number; readonly bytes: Buffer };

/** A turn whose owner was gone. */
export type TakenTurn = {
  readonly epoch: number;
  readonly token: number;
  readonly request: string;
  /** "" if nothing was written. */
  readonly progress: string;
  /** The number of the last chunk that may have been sent. */
  readonly sent: number;
  /** All that stand there, also those that were not to be sent yet. */
  readonly chunks: readonly StoredChunk[];
};

/**
 * Turns that several instances know. One of them owns each: it alone writes, with its epoch, as long as it
 * renews its lease. Every call rejects with a `RedisError` if Redis fails.
 */
export type SharedTurns = {
  /** Begins a turn, owned in epoch 1 and read with token 1. False if there is one of that name. */
  open(turn: TurnName, request: string): Promise<boolean>;
  write(turn: TurnName, epoch: number, write: OwnerWrite): Promise<OwnerView>;
  /** A client reads behind a number, which confirms what came before. It ends the reader before it. */
  attach(turn: TurnName, after: number): Promise<Attached>;
  /** The reader took all up to a number, and wants what follows. */
  follow(turn: TurnName, token: number, taken: number): Promise<Followed>;
  detach(turn: TurnName, token: number): Promise<void>;
  /** The last word on how far the turn is; "" if there is none. */
  progress(turn: TurnName): Promise<string>;
  /** Becomes the owner if the one before is gone and the turn has not ended. */
  take(turn: TurnName): Promise<TakenTurn | undefined>;
  /** Lets another take the turn at once. */
  release(turn: TurnName, epoch: number): Promise<void>;
  /** Removes the turn. False if another owns it. */
  forget(turn: TurnName, epoch: number): Promise<boolean>;
  /** The client has played so many samples. False if there is no such turn. */
  report(turn: TurnName, samples: number): Promise<boolean>;
  /**
   * Drops a device's turns with what is kept of them: all, or those up to one that began no later. Their
   * owners learn of it when they next write. Answers their ids.
   */
  drop(deviceId: string, upTo?: string): Promise<readonly string[]>;
};

/** How long an owner counts as alive without a sign of life, in milliseconds. */
export const LEASE_MS = 600;
