import { RedisError } from "../cluster/redis-errors.ts";
import type { ListedTurn, TurnPlace, TurnRegistry } from "../cluster/turn-registry.ts";
import { TurnCancelled } from "../core/async.ts";
import { createTurnOrder } from "./turn-order.ts";

/** A turn in this process. */
type Turn = {
  readonly number: number;
  readonly deviceId: string | undefined;
  readonly turnId: string | undefined;
  sessionId: string;
  readonly isCurrent: boolean;
  readonly startMs: number;
};

/**
 * The places of this process's turns among those of all instances. Without a registry there are no others:
 * a turn has its number, and nothing is awaited.
 */
export function createTurnPlaces(turns: ReadonlySet<Turn>, registry: TurnRegistry | undefined) {
  const order = createTurnOrder();
  const running = () =>
    [...turns].flatMap((turn) => {
      const { deviceId, turnId, sessionId } = named(turn);
      if (deviceId === undefined) return [];
      const sequence = order.sequenceOf(deviceId, turn.number);
      return { deviceId, turnId, sessionId, sequence, startMs: turn.startMs };
    });
  const admit = async (turn: Turn, place: Promise<TurnPlace>): Promise<void> => {
    try {
      turn.sessionId = (await place).sessionId;
    } catch (error) {
      // Nothing is known of the others now: the turn goes on by what is known here.
      if (!(error instanceof RedisError)) throw error;
    }
  };
  return {
    next: order.next,
    last: order.last,
    /** What is no turn begins. */
    mark(deviceId: string): number {
      const number = order.next();
      if (registry) order.await(deviceId, number, registry.next(deviceId));
      return number;
    },
    /**
     * Lists a turn, which is among `turns` already, once it is `owned`, if that is yet to be known. What it
     * returns resolves once the turn may run, and has its session; undefined if it may at once. It rejects
     * with `LimitExceeded` or `TurnCancelled`, and as `owned` does.
     */
    admit(turn: Turn, owned?: Promise<void>): Promise<void> | undefined {
      if (!registry) return owned;
      const begin = () => {
        // It may have ended meanwhile.
        if (!turns.has(turn)) throw new TurnCancelled("disconnected");
        return registry.begin(named(turn));
      };
      const place = owned ? owned.then(begin) : begin();
      if (turn.deviceId !== undefined) {
        const sequence = place.then((each) => each.sequence);
        order.await(turn.deviceId, turn.number, sequence);
      }
      return admit(turn, place);
    },
    end: (turn: Turn) => registry?.end(named(turn)),
    lastBelow: order.lastBelow,
    running,
    place(turn: { readonly deviceId: string; readonly turnId: string }, sequence: number) {
      const found = [...turns].find(
        (each) => each.deviceId === turn.deviceId && named(each).turnId === turn.turnId,
      );
      if (found) order.place(turn.deviceId, found.number, sequence);
    },
    /** The turns of a device that run: of this process alone, if nothing is known of others. */
    async list(query: Query): Promise<readonly ListedTurn[]> {
      const own = running()
        .filter(isOf(query))
        .map(({ turnId, sessionId }) => ({ turnId, sessionId }));
      return (await registry?.list(query).catch(() => undefined)) ?? own;
    },
  };
}

type Query = Parameters<TurnRegistry["list"]>[0];

function isOf({ deviceId, sessionId, turnId }: Query) {
  return (turn: Required<Query>): boolean =>
    turn.deviceId === deviceId &&
    (sessionId === undefined || turn.sessionId === sessionId) &&
    (turnId === undefined || turn.turnId === turnId.toLowerCase());
}

/** A turn as other instances know it. Ids are the same in either case. */
function named({ deviceId, turnId, number, sessionId, isCurrent }: Turn) {
  return {
    ...(deviceId !== undefined && { deviceId }),
    turnId: (turnId ?? String(number)).toLowerCase(),
    sessionId,
    isCurrent: isCurrent && deviceId !== undefined,
  };
}
