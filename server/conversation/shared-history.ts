import type { RecentTurn, RecentTurns } from "../cluster/recent-turns.ts";
import type { MessagePair } from "../models/language-model.ts";
import type { TurnState } from "../storage/records.ts";
import { type History, MAX_RECALLED, messagePairOf, REST_MS } from "./history.ts";

/** A turn as it stands in the shared form. */
type SharedTurn = { readonly pair: MessagePair; readonly atMs: number };

/**
 * A history whose latest turns other instances see as well, and it theirs: where each has a history of its
 * own. `own` keeps the same, and serves what the shared form has lost, or does not answer.
 */
export function createSharedHistory(
  own: History,
  recent: RecentTurns,
  now: () => number = Date.now,
): History {
  let lastOrder = 0;
  return {
    begin(turn) {
      const kept = own.begin(turn);
      lastOrder = Math.max(lastOrder + 1, Date.now() * 1000);
      const order = lastOrder;
      const { id, prompt } = turn;
      const share = async (state: TurnState) => {
        if (prompt === undefined || state.status === "running" || state.reply === "") return;
        const pair = messagePairOf({ id, prompt }, state);
        const value = JSON.stringify({ pair, atMs: now() } satisfies SharedTurn);
        // The next turn elsewhere goes on without it; `/status` says that Redis is degraded.
        await recent.put(turn, { turnId: id, order, value }).catch(() => undefined);
      };
      return {
        async write(state) {
          await Promise.all([kept.write(state), share(state)]);
        },
      };
    },
    async recall(session) {
      const [here, shared] = await Promise.all([
        own.recall(session),
        recent.read(session).catch((): readonly RecentTurn[] => []),
      ]);
      const turns = shared.flatMap(({ value }) => parse(value) ?? []);
      const isRested = turns.every(({ atMs }) => now() - atMs >= REST_MS);
      return isRested ? here : merge(here, turns).slice(-MAX_RECALLED);
    },
  };
}

/** What Redis has lost came before the rest. */
function merge(own: readonly MessagePair[], shared: readonly SharedTurn[]): readonly MessagePair[] {
  const pairs = shared.map(({ pair }) => pair);
  const ids = new Set(pairs.map(({ turnId }) => turnId?.toLowerCase()));
  return [...own.filter(({ turnId }) => !ids.has(turnId?.toLowerCase())), ...pairs];
}

/** Another version may have written it. */
function parse(value: string): SharedTurn | undefined {
  try {
    const { pair, atMs } = JSON.parse(value) as Partial<SharedTurn>;
    const isPair = typeof pair?.user === "string" && typeof pair.assistant === "string";
    return isPair && typeof atMs === "number" ? { pair, atMs } : undefined;
  } catch {
    return undefined;
  }
}
