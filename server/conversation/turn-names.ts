import { TurnCancelled } from "../core/async.ts";
import { AlreadyExists, InvalidRequest } from "../core/errors.ts";

/** A turn that can be named. */
type NamedTurn = {
  /** Rises from turn to turn. */
  readonly number: number;
  /** Made by `turnKeyOf`; undefined if the turn cannot be named. */
  readonly key: string | undefined;
};

/** How long an interrupt waits for the turn that it names. */
const AWAITED_MS = 30_000;
/** Turns that are known though they do not run. */
const MAX_KNOWN = 10_000;

/** Knows the numbers of turns, and those that have ended or are yet to come. */
export function createTurnNames<Turn extends NamedTurn>(
  running: ReadonlySet<Turn>,
  now: () => number,
) {
  /** The numbers of turns that have ended, by key. */
  const ended = createLatest<{ readonly number: number; readonly wasSent: boolean }>(MAX_KNOWN);
  /** When a turn was interrupted that had not come yet, by key. */
  const awaited = createLatest<number>(MAX_KNOWN);
  const find = (key: string) => [...running].find((entry) => entry.key === key);
  const numberOf = (key: string) => find(key)?.number ?? ended.find(key)?.number;
  return {
    find,
    /** The number of a turn that runs, or that ended lately. */
    numberOf,
    admit(key: string | undefined, isContinued = false) {
      if (key === undefined) return;
      const interruptedMs = awaited.take(key);
      if (interruptedMs !== undefined && now() - interruptedMs < AWAITED_MS) {
        throw new TurnCancelled("interrupted");
      }
      if (find(key)) throw new InvalidRequest("turn_id", "must not be that of a turn in progress");
      if (!isContinued && ended.find(key)?.wasSent) {
        throw new AlreadyExists("turn_id is that of a turn that has ended");
      }
    },
    /** The turn is over; `wasSent` if its client got anything of it. */
    end({ key, number }: Turn, wasSent: boolean) {
      if (key) ended.put(key, { number, wasSent });
    },
    /** The number of the last turn that an interrupt up to this one is meant for. */
    lastOf(key: string): number {
      const number = numberOf(key);
      // Its turn is still on the way. Those that run may have been sent after it.
      if (number === undefined) awaited.put(key, now());
      return number ?? 0;
    },
  };
}

/** UUIDs are the same in either case. */
export function turnKeyOf(deviceId: string, turnId: string): string {
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
