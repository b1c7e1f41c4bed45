import type { ListedTurn } from "../cluster/turn-registry.ts";
import type { CancelReason } from "../core/async.ts";
import type { Listening } from "./heard-turns.ts";
import type { TurnClock } from "./turn-clock.ts";
import type { TurnStatistics } from "./turn-statistics.ts";

/** A turn that is about to begin. */
export type NewTurn = {
  /** Absent: it cannot be interrupted. */
  readonly deviceId?: string;
  readonly sessionId: string;
  /** True if the client named no session: the turn is of the device's current one. */
  readonly isCurrent?: boolean;
  /** Its id, in either case, unique among the device's turns. Absent: it cannot be named. */
  readonly turnId?: string;
  readonly connection?: object;
  /** True if another instance began it: its id may have been here before. */
  readonly isContinued?: boolean;
  /**
   * Called once the turn is listed. Resolves when it is known to run here; rejects if it does not: it has
   * ended then. Absent: it runs here.
   */
  readonly untilOwned?: (() => Promise<void>) | undefined;
};

/** One turn in progress. */
export type ActiveTurn = {
  /** Fires once, with a `TurnCancelled`, when the turn must stop. Never after `end`. */
  readonly signal: AbortSignal;
  /**
   * Resolves with the turn's session once all instances together admit it; absent if this one decides
   * alone. Rejects with `LimitExceeded`, with `TurnCancelled` if the turn was interrupted, and as
   * `untilOwned` does: it has ended then, and nothing of it may be done.
   */
  readonly admitted?: Promise<string>;
  /** The time that it has. */
  readonly time: TurnClock;
  /** Says who knows how far the turn is heard. */
  follow(listening: Listening): void;
  /** Removes the turn from the list. What was sent of it may still be playing. */
  end(): void;
};

/** What an interrupt found, on all instances. */
export type Interrupted = {
  /** Session ids of turns that it ended, each once: of this instance first, oldest first. */
  readonly sessions: readonly string[];
  /** Ids of turns that had been sent in full and were still playing, in the same order. */
  readonly sentTurns: readonly string[];
  /** Other instances that did not answer in time: their turns may go on. */
  readonly unacknowledged: number;
};

/** What an interrupt found on this instance, at once. */
export type CutHere = Pick<Interrupted, "sessions" | "sentTurns"> & {
  /** Ids of turns that it ended, oldest first. Turns without an id are missing. */
  readonly turns: readonly string[];
};

/** Which of a device's turns an interrupt means, for what else is kept of them. */
export type Cut = {
  readonly deviceId: string;
  /** The number of the last turn, or of what was collected for one, that it means. */
  readonly last: number;
  /** False if it named a turn: then what is collected for later ones stays. */
  readonly meansAll: boolean;
  /** Whether it means a turn. */
  includes(turnId: string): boolean;
};

/** Every turn in progress: its device, and the one signal that stops it. */
export type ActiveTurns = {
  /**
   * Lists a turn. Throws `LimitExceeded` if too many run, `InvalidRequest` if one of its id runs,
   * `AlreadyExists` if any of one of its id was sent, and `TurnCancelled` after `cancelAll` or if it was
   * interrupted before it came. `clientSignal` fires when the client disconnects, or with a
   * `TurnCancelled` that says why else the turn ends.
   */
  begin(turn: NewTurn, clientSignal: AbortSignal): ActiveTurn;
  /**
   * Counts a stream that is no turn, in all and for its connection, until the returned function is
   * called. Throws as `begin` does.
   */
  hold(connection: object | undefined): () => void;
  /**
   * Cancels a device's turns: all, or with `upTo` the turn of that id and those that began before it. One
   * of that id that comes within 30 s is refused. Turns that were sent and still play are cut as well.
   * Those of this process end at once, of which `onCut` hears before this returns; then it waits for other
   * instances, 250 ms at most. Never rejects.
   */
  interrupt(deviceId: string, upTo?: string, onCut?: (cut: CutHere) => void): Promise<Interrupted>;
  /** Calls `listener` with each interrupt once its turns were cancelled here, whoever asked for it. */
  onInterrupt(listener: (cut: Cut) => void): void;
  /** Numbers what is collected for a turn: later than all that has begun. */
  mark(deviceId: string): number;
  /** The turns of a device that run, on all instances: of one session, or the one of that id. */
  list(query: {
    readonly deviceId: string;
    readonly sessionId?: string;
    readonly turnId?: string;
  }): Promise<readonly ListedTurn[]>;
  /**
   * How a device's turn is heard: of one that runs, and of the latest ones that have ended. Undefined if
   * it is unknown, is of another session, or has no device.
   */
  find(turn: { deviceId: string; turnId: string; sessionId?: string }): Listening | undefined;
  /** Refuses new turns and streams from now on, with this reason. Those that run go on. */
  close(reason: CancelReason): void;
  /** Throws `TurnCancelled` once new turns are refused. */
  throwIfClosed(): void;
  /** Resolves once no turn and no stream runs. */
  untilIdle(): Promise<void>;
  /** Cancels every turn, and refuses new ones from now on. */
  cancelAll(reason: CancelReason): void;
  /** Turns in progress. */
  count(): number;
  statistics(): TurnStatistics;
};
