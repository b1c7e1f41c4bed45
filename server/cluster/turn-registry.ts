/** A turn, or what is collected for one, by its names. */
type RegisteredTurn = {
  /** Absent: nobody can interrupt it. It counts as a stream. */
  readonly deviceId?: string;
  /** Names the turn among the device's. */
  readonly turnId: string;
};

/** A turn that asks to run. */
export type ArrivingTurn = RegisteredTurn & {
  readonly sessionId: string;
  /** True if the client named no session: then the turn belongs to the device's current one, of all instances. */
  readonly isCurrent: boolean;
};

/** What a turn gets as it begins. */
export type TurnPlace = {
  /** Rises from turn to turn of a device, whichever instance runs it. 0 without a device. */
  readonly sequence: number;
  /** The session that the turn belongs to. */
  readonly sessionId: string;
};

/** A turn that runs, on whichever instance. */
export type ListedTurn = { readonly turnId: string; readonly sessionId: string };

/** What an interrupt ended. */
export type EndedTurns = {
  /** Session ids of turns that it ended, each once. */
  readonly sessions: readonly string[];
  /** Ids of turns that had been sent in full and were still playing. */
  readonly sentTurns: readonly string[];
};

/** An interrupt as another instance asked for it. */
export type RemoteInterrupt = {
  readonly deviceId: string;
  /** It means what took a lower place in the device's sequence. 0: nothing that runs. */
  readonly before: number;
  /** The turn that it names; absent if it means all. */
  readonly upTo?: string;
};

/** What this process tells of its turns. */
export type LocalTurns = {
  /** Turns and streams in progress. */
  count(): number;
  /** Ends what the interrupt means. Never rejects. */
  interrupt(interrupt: RemoteInterrupt): Promise<EndedTurns>;
  /** The turns of devices that run, with their places where they are known. */
  running(): readonly (Required<RegisteredTurn> & {
    readonly sessionId: string;
    readonly sequence: number | undefined;
    /** When it began, in milliseconds of `performance.now`. */
    readonly startMs: number;
  })[];
  /** A turn got its place late: nothing was known of others when it began. */
  place(turn: Required<RegisteredTurn>, sequence: number): void;
};

/**
 * The turns of all instances: who runs them, how many they are, and in which order they began. Each call
 * rejects with a `RedisError` where nothing is known of the others; the turn then goes on without them.
 */
export type TurnRegistry = {
  /** Who tells of this process. To be called before `start`. */
  serve(local: LocalTurns): void;
  /** Begins to be known to the others, and to hear them. */
  start(): void;
  /** Leaves. */
  stop(): Promise<void>;
  /**
   * Lists a turn that `LocalTurns.count` counts already. Rejects with `LimitExceeded` if all instances
   * together run too many, and with `TurnCancelled` if it was interrupted before it came.
   */
  begin(turn: ArrivingTurn): Promise<TurnPlace>;
  /** The turn has ended. Its session continues from now on, if it is the device's current one. */
  end(turn: ArrivingTurn): void;
  /** Takes a place in a device's sequence for what is no turn yet. */
  next(deviceId: string): Promise<number>;
  /** The turns of a device that run: of one session, or the one of that id. */
  list(query: {
    readonly deviceId: string;
    readonly sessionId?: string;
    readonly turnId?: string;
  }): Promise<readonly ListedTurn[]>;
  /**
   * Interrupts a device's turns on the other instances, as `RemoteInterrupt` says, and waits for their
   * answers: 250 ms at most. Never rejects.
   */
  interrupt(deviceId: string, upTo?: string): Promise<EndedElsewhere>;
};

/** What an interrupt ended on other instances. */
export type EndedElsewhere = EndedTurns & {
  /** Instances that did not answer in time. */
  readonly unacknowledged: number;
};
