import { type CancelReason, createIdleWatch, onAbort, TurnCancelled } from "../core/async.ts";
import { InvalidRequest, LimitExceeded } from "../core/errors.ts";
import { startClock, type TurnClock } from "./turn-clock.ts";

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
  /** Removes the turn from the list. */
  end(): void;
};

/** Every turn in progress: its device, and the one signal that stops it. */
export type ActiveTurns = {
  /**
   * Lists a turn. Throws `LimitExceeded` if too many run, `InvalidRequest` if one of its id runs, and
   * `TurnCancelled` after `cancelAll` or if it was interrupted before it came. `clientSignal` fires when
   * the client disconnects, or with a `TurnCancelled` that says why else the turn ends.
   */
  begin(turn: NewTurn, clientSignal: AbortSignal): ActiveTurn;
  /**
   * Counts a stream that is no turn, in all and for its connection, until the returned function is
   * called. Throws as `begin` does.
   */
  hold(connection: object | undefined): () => void;
  /**
   * Cancels a device's turns: all, or with `upTo` the turn of that id and those that began before it. One
   * of that id that comes within 30 s is refused. Returns the session ids of those that it cancelled,
   * each once, oldest first.
   */
  interrupt(deviceId: string, upTo?: string): readonly string[];
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
};

type Entry = {
  /** Rises from turn to turn. */
  readonly number: number;
  readonly deviceId: string | undefined;
  /** Undefined if the turn cannot be named. */
  readonly key: string | undefined;
  readonly connection: object | undefined;
  readonly sessionId: string;
  readonly cancel: (reason: CancelReason) => void;
};

/** How long an interrupt waits for the turn that it names. */
const AWAITED_MS = 30_000;
/** Turns that are known though they do not run. */
const MAX_KNOWN = 10_000;

/** Makes an empty list of turns. */
export function createActiveTurns(limits: TurnLimits): ActiveTurns {
  const entries = new Set<Entry>();
  const names = createNames(entries, limits.now);
  const held = new Set<{ readonly connection: object | undefined }>();
  const { close, throwIfClosed } = createClosing();
  const idle = createIdleWatch(() => entries.size + held.size === 0);

  const admitStream = (connection: object | undefined) => {
    throwIfClosed();
    checkStreams(limits, [...entries, ...held], connection);
  };

  return {
    begin({ deviceId, sessionId, turnId, connection }, clientSignal) {
      if (clientSignal.aborted) throw new TurnCancelled("disconnected");
      const key = deviceId && turnId ? keyOf(deviceId, turnId) : undefined;
      names.admit(key);
      admitStream(connection);
      checkDevice(limits, entries, deviceId);
      const aborter = new AbortController();
      const end = () => {
        if (entries.delete(entry)) names.end(entry);
        stopClock();
        forgetClient();
        idle.check();
      };
      const cancel = (reason: CancelReason) => {
        // Removed here, not where the turn's code ends, which may be parked in a write for long.
        end();
        aborter.abort(new TurnCancelled(reason));
      };
      const entry: Entry = { number: names.next(), deviceId, key, connection, sessionId, cancel };
      entries.add(entry);
      const { stopClock, ...time } = startClock(limits.maxTurnMs, () => cancel("deadline"));
      const forgetClient = onAbort(clientSignal, (reason) => cancel(reasonOf(reason)));
      return { signal: aborter.signal, time, end };
    },
    hold(connection) {
      admitStream(connection);
      const stream = { connection };
      held.add(stream);
      return idle.after(() => held.delete(stream));
    },
    interrupt(deviceId, upTo) {
      const last = upTo === undefined ? Number.MAX_VALUE : names.lastOf(keyOf(deviceId, upTo));
      const own = turnsOf(entries, deviceId).filter(({ number }) => number <= last);
      for (const entry of own) entry.cancel("interrupted");
      return [...new Set(own.map((entry) => entry.sessionId))];
    },
    close,
    throwIfClosed,
    untilIdle: idle.wait,
    cancelAll(reason) {
      close(reason);
      for (const entry of [...entries]) entry.cancel(reason);
    },
    count: () => entries.size,
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

function turnsOf(entries: ReadonlySet<Entry>, deviceId: string): readonly Entry[] {
  return [...entries].filter((entry) => entry.deviceId === deviceId);
}

/** Why a client's signal fired. */
function reasonOf(reason: unknown): CancelReason {
  return reason instanceof TurnCancelled ? reason.reason : "disconnected";
}

/** Numbers turns, and knows those that have ended or are yet to come. */
function createNames(running: ReadonlySet<Entry>, now = () => performance.now()) {
  /** The numbers of turns that have ended, by key. */
  const ended = createLatest<number>(MAX_KNOWN);
  /** When a turn was interrupted that had not come yet, by key. */
  const awaited = createLatest<number>(MAX_KNOWN);
  let last = 0;
  const find = (key: string) => [...running].find((entry) => entry.key === key);
  return {
    next: () => ++last,
    admit(key: string | undefined) {
      if (key === undefined) return;
      const interruptedMs = awaited.take(key);
      if (interruptedMs !== undefined && now() - interruptedMs < AWAITED_MS) {
        throw new TurnCancelled("interrupted");
      }
      if (find(key)) throw new InvalidRequest("turn_id", "must not be that of a turn in progress");
    },
    end({ key, number }: Entry) {
      if (key) ended.put(key, number);
    },
    /** The number of the last turn that an interrupt up to this one is meant for. */
    lastOf(key: string): number {
      const number = find(key)?.number ?? ended.find(key);
      // Its turn is still on the way. Those that run may have been sent after it.
      if (number === undefined) awaited.put(key, now());
      return number ?? 0;
    },
  };
}

/** UUIDs are the same in either case. */
function keyOf(deviceId: string, turnId: string): string {
  return JSON.stringify([deviceId, turnId.toLowerCase()]);
}

/** Keeps the latest values, up to `limit`. */
function createLatest<Value>(limit: number) {
  const values = new Map<string, Value>();
  return {
    put(key: string, value: Value) {
      values.delete(key);
      values.set(key, value);
      const [oldest] = values.keys();
      if (values.size > limit && oldest !== undefined) values.delete(oldest);
    },
    find: (key: string) => values.get(key),
    take(key: string) {
      const value = values.get(key);
      values.delete(key);
      return value;
    },
  };
}

function checkStreams(
  limits: TurnLimits,
  streams: readonly { readonly connection: object | undefined }[],
  connection: object | undefined,
): void {
  // Not the caller's limit, so the message names none: clients offer a purchase where they read one.
  if (streams.length >= limits.maxTurns)
    throw new LimitExceeded("gateway busy; retry in 2 s", 2000);
  if (connection === undefined) return;
  const own = streams.filter((stream) => stream.connection === connection);
  refuseAbove(limits.maxTurnsPerConnection, own.length, "this connection");
}

function checkDevice(
  limits: TurnLimits,
  entries: ReadonlySet<Entry>,
  deviceId: string | undefined,
): void {
  if (deviceId === undefined) return;
  const own = turnsOf(entries, deviceId);
  refuseAbove(limits.maxTurnsPerDevice, own.length, "this hardware_id");
}

function refuseAbove(max: number, running: number, who: string): void {
  if (running >= max)
    throw new LimitExceeded(`${who} runs ${max} streams already, the most it may`);
}
