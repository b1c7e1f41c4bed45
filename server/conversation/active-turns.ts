import { type CancelReason, createIdleWatch, onAbort, TurnCancelled } from "../core/async.ts";
import { LimitExceeded } from "../core/errors.ts";
import { createHeardTurns, type IsMeant, type Listening } from "./heard-turns.ts";
import { startClock, type TurnClock } from "./turn-clock.ts";
import { createTurnNames, turnKeyOf } from "./turn-names.ts";
import { createTurnStatistics, type TurnStatistics } from "./turn-statistics.ts";

/** How many turns may run, and for how long. */
export type TurnLimits = {
  readonly maxTurns: number;
  readonly maxTurnsPerDevice: number;
  /** Of all devices on one connection: a device id is not verified. */
  readonly maxTurnsPerConnection: number;
  /** Milliseconds after which a turn is cut with `deadline`. */
  readonly maxTurnMs: number;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
};

/** A turn that is about to begin. */
type NewTurn = {
  /** Absent: it cannot be interrupted. */
  readonly deviceId?: string;
  readonly sessionId: string;
  /** Its id, in either case, unique among the device's turns. Absent: it cannot be named. */
  readonly turnId?: string;
  readonly connection?: object;
};

/** One turn in progress. */
type ActiveTurn = {
  /** Fires once, with a `TurnCancelled`, when the turn must stop. Never after `end`. */
  readonly signal: AbortSignal;
  /** The time that it has. */
  readonly time: TurnClock;
  /** Says who knows how far the turn is heard. */
  follow(listening: Listening): void;
  /** Removes the turn from the list. What was sent of it may still be playing. */
  end(): void;
};

/** What an interrupt found. */
export type Interrupted = {
  /** Session ids of turns that it ended, each once, oldest first. */
  readonly sessions: readonly string[];
  /** Ids of turns that it ended, oldest first. Turns without an id are missing. */
  readonly turns: readonly string[];
  /** Ids of turns that had been sent in full and were still playing, oldest first. */
  readonly sentTurns: readonly string[];
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
   */
  interrupt(deviceId: string, upTo?: string): Interrupted;
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

type Entry = {
  /** Rises from turn to turn. */
  readonly number: number;
  readonly deviceId: string | undefined;
  /** Undefined if the turn cannot be named. */
  readonly key: string | undefined;
  readonly connection: object | undefined;
  readonly sessionId: string;
  readonly turnId: string | undefined;
  readonly startMs: number;
  readonly cancel: (reason: CancelReason) => void;
  listening?: Listening;
};

/** Makes an empty list of turns. */
export function createActiveTurns(limits: TurnLimits): ActiveTurns {
  const lists = createLists(limits);
  const { entries, names, heard, statistics, held, idle } = lists;
  const { close, throwIfClosed } = createClosing();

  const admitStream = (connection: object | undefined) => {
    throwIfClosed();
    checkStreams(limits, [...entries, ...held], connection);
  };

  return {
    begin(turn, clientSignal) {
      if (clientSignal.aborted) throw new TurnCancelled("disconnected");
      const { deviceId, turnId, connection } = turn;
      const key = deviceId && turnId ? turnKeyOf(deviceId, turnId) : undefined;
      names.admit(key);
      admitStream(connection);
      checkDevice(limits, entries, deviceId);
      return beginTurn(lists, { ...turn, key }, clientSignal);
    },
    hold(connection) {
      admitStream(connection);
      const stream = { connection };
      held.add(stream);
      return idle.after(() => held.delete(stream));
    },
    interrupt(deviceId, upTo) {
      const last = upTo === undefined ? Number.MAX_VALUE : names.lastOf(turnKeyOf(deviceId, upTo));
      const isMeant: IsMeant = (turn) => turn.deviceId === deviceId && turn.number <= last;
      const own = [...entries].filter(isMeant);
      // Those that are cancelled now were not sent in full.
      const sentTurns = heard.cut(isMeant);
      for (const entry of own) entry.cancel("interrupted");
      statistics.cutSent(sentTurns.length);
      const sessions = [...new Set(own.map((entry) => entry.sessionId))];
      return { sessions, turns: own.flatMap(({ turnId }) => turnId ?? []), sentTurns };
    },
    find({ deviceId, turnId, sessionId }) {
      const key = turnKeyOf(deviceId, turnId);
      const turn = names.find(key) ?? heard.find(key);
      if (sessionId !== undefined && turn?.sessionId !== sessionId) return undefined;
      return turn?.listening;
    },
    close,
    throwIfClosed,
    untilIdle: idle.wait,
    cancelAll(reason) {
      close(reason);
      for (const entry of [...entries]) entry.cancel(reason);
    },
    count: () => entries.size,
    statistics: statistics.read,
  };
}

/** Whether new turns are refused, and why. */
function createClosing() {
  let closed: CancelReason | undefined;
  const close = (reason: CancelReason) => {
    closed = reason;
  };
  const throwIfClosed = () => {
    if (closed !== undefined) throw new TurnCancelled(closed);
  };
  return { close, throwIfClosed };
}

/** Why a client's signal fired. */
function reasonOf(reason: unknown): CancelReason {
  return reason instanceof TurnCancelled ? reason.reason : "disconnected";
}

type Lists = ReturnType<typeof createLists>;

function createLists({ maxTurnMs, now = () => performance.now() }: TurnLimits) {
  const entries = new Set<Entry>();
  const names = createTurnNames(entries, now);
  const statistics = createTurnStatistics(entries, now);
  const heard = createHeardTurns();
  const held = new Set<{ readonly connection: object | undefined }>();
  const idle = createIdleWatch(() => entries.size + held.size === 0);
  return { entries, names, statistics, heard, held, idle, maxTurnMs, now };
}

function beginTurn(
  { entries, names, heard, statistics, idle, maxTurnMs, now }: Lists,
  { deviceId, sessionId, turnId, connection, key }: NewTurn & Pick<Entry, "key">,
  clientSignal: AbortSignal,
): ActiveTurn {
  const aborter = new AbortController();
  const end = () => {
    if (entries.delete(entry)) {
      names.end(entry, entry.listening?.hasBegun() === true);
      heard.add(entry);
    }
    stopClock();
    forgetClient();
    idle.check();
  };
  const cancel = (reason: CancelReason) => {
    statistics.cut(reason);
    // Removed here, not where the turn's code ends, which may be parked in a write for long.
    end();
    aborter.abort(new TurnCancelled(reason));
  };
  const named = { number: names.next(), deviceId, key, connection, sessionId, turnId };
  const entry: Entry = { ...named, startMs: now(), cancel };
  entries.add(entry);
  statistics.begin();
  const { stopClock, ...time } = startClock(maxTurnMs, () => cancel("deadline"));
  const forgetClient = onAbort(clientSignal, (reason) => cancel(reasonOf(reason)));
  const follow = (listening: Listening) => {
    entry.listening = listening;
  };
  return { signal: aborter.signal, time, follow, end };
}

function checkStreams(
  limits: TurnLimits,
  streams: readonly { readonly connection: object | undefined }[],
  connection: object | undefined,
): void {
  // Not the caller's limit, so the message names none: clients offer a purchase where they read one.
  if (streams.length >= limits.maxTurns)
    throw new LimitExceeded("gateway busy; retry in 2 s", "streams");
  if (connection === undefined) return;
  const own = streams.filter((stream) => stream.connection === connection);
  refuseAbove(limits.maxTurnsPerConnection, own.length, connectionLimit);
}

function checkDevice(
  limits: TurnLimits,
  entries: ReadonlySet<Entry>,
  deviceId: string | undefined,
): void {
  if (deviceId === undefined) return;
  const own = [...entries].filter((entry) => entry.deviceId === deviceId);
  refuseAbove(limits.maxTurnsPerDevice, own.length, deviceLimit);
}

const connectionLimit = { who: "this connection", limit: "connection_streams" } as const;
const deviceLimit = { who: "this hardware_id", limit: "device_streams" } as const;

function refuseAbove(
  max: number,
  running: number,
  { who, limit }: typeof connectionLimit | typeof deviceLimit,
): void {
  if (running >= max) {
    throw new LimitExceeded(`${who} runs ${max} streams already, the most it may`, limit);
  }
}
