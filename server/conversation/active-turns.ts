import type { TurnRegistry } from "../cluster/turn-registry.ts";
import {
  abortable,
  type CancelReason,
  createIdleWatch,
  onAbort,
  TurnCancelled,
} from "../core/async.ts";
import type { ActiveTurn, ActiveTurns, Cut, NewTurn } from "./active-turns-contract.ts";
import { createHeardTurns, type IsMeant, type Listening } from "./heard-turns.ts";
import { startClock } from "./turn-clock.ts";
import { checkDevice, checkStreams, type TurnLimits } from "./turn-limits.ts";
import { createTurnNames, turnKeyOf } from "./turn-names.ts";
import { createTurnPlaces } from "./turn-places.ts";
import { createTurnStatistics } from "./turn-statistics.ts";

type Entry = {
  /** Rises from turn to turn. */
  readonly number: number;
  readonly deviceId: string | undefined;
  /** Undefined if the turn cannot be named. */
  readonly key: string | undefined;
  readonly connection: object | undefined;
  /** Known for good once the turn is admitted. */
  sessionId: string;
  readonly isCurrent: boolean;
  readonly turnId: string | undefined;
  readonly startMs: number;
  readonly cancel: (reason: CancelReason) => void;
  listening?: Listening;
};

/** Makes an empty list of turns. With a registry it is one of several, which act as one. */
export function createActiveTurns(limits: TurnLimits, registry?: TurnRegistry): ActiveTurns {
  const lists = createLists(limits, registry);
  const { entries, names, heard, statistics, held, idle, places } = lists;
  const cut = createCut(lists);
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
      names.admit(key, turn.isContinued);
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
    interrupt: cut.everywhere,
    onInterrupt: cut.listen,
    mark: places.mark,
    list: places.list,
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

/** Cuts turns of this process. */
function createCut({ entries, names, heard, statistics, places, held, registry }: Lists) {
  const listeners: ((cut: Cut) => void)[] = [];
  const now = (deviceId: string, last: number, meansAll: boolean) => {
    const isMeant: IsMeant = (turn) => turn.deviceId === deviceId && turn.number <= last;
    const own = [...entries].filter(isMeant);
    // Those that are cancelled now were not sent in full.
    const sentTurns = heard.cut(isMeant);
    for (const entry of own) entry.cancel("interrupted");
    statistics.cutSent(sentTurns.length);
    const includes = (turnId: string) => {
      const number = names.numberOf(turnKeyOf(deviceId, turnId));
      return number === undefined ? meansAll : number <= last;
    };
    for (const listener of listeners) listener({ deviceId, last, meansAll, includes });
    const turns = own.flatMap(({ turnId }) => turnId ?? []);
    return { sessions: [...new Set(own.map((entry) => entry.sessionId))], turns, sentTurns };
  };
  registry?.serve({
    count: () => entries.size + held.size,
    running: places.running,
    place: places.place,
    async interrupt({ deviceId, before, upTo }) {
      const key = upTo === undefined ? undefined : turnKeyOf(deviceId, upTo);
      const here = key === undefined ? 0 : names.lastOf(key);
      const last = before > 0 ? await places.lastBelow(deviceId, before) : 0;
      return now(deviceId, Math.max(here, last), !key);
    },
  });
  const everywhere: ActiveTurns["interrupt"] = async (deviceId, upTo, onCut) => {
    const key = upTo === undefined ? undefined : turnKeyOf(deviceId, upTo);
    const here = now(deviceId, key === undefined ? places.last() : names.lastOf(key), !key);
    onCut?.(here);
    const elsewhere = await registry?.interrupt(deviceId, upTo);
    return {
      sessions: [...new Set([...here.sessions, ...(elsewhere?.sessions ?? [])])],
      sentTurns: [...here.sentTurns, ...(elsewhere?.sentTurns ?? [])],
      unacknowledged: elsewhere?.unacknowledged ?? 0,
    };
  };
  return { everywhere, listen: (listener: (cut: Cut) => void) => void listeners.push(listener) };
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
function asCancel(reason: unknown): TurnCancelled {
  return reason instanceof TurnCancelled ? reason : new TurnCancelled("disconnected");
}

type Lists = ReturnType<typeof createLists>;

function createLists(
  { maxTurnMs, now = () => performance.now() }: TurnLimits,
  registry: TurnRegistry | undefined,
) {
  const entries = new Set<Entry>();
  const names = createTurnNames(entries, now);
  const places = createTurnPlaces(entries, registry);
  const statistics = createTurnStatistics(entries, now);
  const heard = createHeardTurns();
  const held = new Set<{ readonly connection: object | undefined }>();
  const idle = createIdleWatch(() => entries.size + held.size === 0);
  return { entries, names, places, registry, statistics, heard, held, idle, maxTurnMs, now };
}

function beginTurn(
  { entries, names, places, heard, statistics, idle, maxTurnMs, now }: Lists,
  turn: NewTurn & Pick<Entry, "key">,
  clientSignal: AbortSignal,
): ActiveTurn {
  const { deviceId, sessionId, isCurrent = false, turnId, connection, key } = turn;
  const aborter = new AbortController();
  const end = () => {
    if (entries.delete(entry)) {
      names.end(entry, entry.listening?.hasBegun() === true);
      heard.add(entry);
      places.end(entry);
    }
    stopClock();
    forgetClient();
    idle.check();
  };
  const cancel = (reason: CancelReason, error = new TurnCancelled(reason)) => {
    statistics.cut(reason);
    // Removed here, not where the turn's code ends, which may be parked in a write for long.
    end();
    aborter.abort(error);
  };
  const named = { number: places.next(), deviceId, key, connection, sessionId, isCurrent, turnId };
  const entry: Entry = { ...named, startMs: now(), cancel };
  entries.add(entry);
  statistics.begin();
  const { stopClock, ...time } = startClock(maxTurnMs, () => cancel("deadline"));
  const forgetClient = onAbort(clientSignal, (reason) => {
    const error = asCancel(reason);
    cancel(error.reason, error);
  });
  const follow = (listening: Listening) => {
    entry.listening = listening;
  };
  const { signal } = aborter;
  const place = places.admit(entry, turn.untilOwned?.());
  if (!place) return { signal, time, follow, end };
  const admitted = abortable(place, signal).then(() => entry.sessionId);
  admitted.catch(end);
  return { signal, admitted, time, follow, end };
}
