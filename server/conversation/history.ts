import { setImmediate as turnOfLoop } from "node:timers/promises";
import type { MessagePair } from "../models/language-model.ts";
import type { KeptTurn, NewTurn, TurnState, TurnStore } from "../storage/records.ts";
import type { Session } from "./sessions.ts";

/**
 * The turns of each session, as they were heard. Where they are kept, in this process or in a database,
 * is the implementation's own.
 */
export type History = {
  /**
   * A turn begins. It is recalled once a write says how it ended, in the order in which turns began; a
   * turn without a prompt, or without a reply, is not. A later write replaces an earlier one.
   */
  begin(turn: NewTurn): KeptTurn;
  /**
   * The latest turns of a session that rested for less than half an hour, oldest first. Never rejects:
   * without what cannot be read a turn goes on.
   */
  recall(session: Session): Promise<readonly MessagePair[]>;
};

/** A history in this process. */
export type LocalHistory = History & {
  /** Whether it has turns of the session. */
  has(session: Session): boolean;
  /** Takes turns that were kept elsewhere, oldest first, if it has none of the session. */
  fill(session: Session, messagePairs: readonly MessagePair[]): void;
  /** Bytes that all turns take, about. */
  bytes(): number;
};

/** Turns of a session that are recalled at most. */
export const MAX_RECALLED = 20;
/** How long a session's turns rest. */
export const REST_MS = 30 * 60_000;
/** Ends a reply that was cut. */
const CUT_MARK = "[interrupted]";

/** Each text of a turn is cut to this many UTF-16 units: what a model needs of it, and no more. */
const longestText = 16_384;

/** A turn as the prompts after it have it. Very long texts are cut. */
export function messagePairOf(
  turn: Pick<NewTurn, "id"> & { readonly prompt: string },
  { reply, heard }: Pick<TurnState, "reply" | "heard">,
): MessagePair {
  const user = cutText(turn.prompt);
  if (heard === undefined) return { user, assistant: cutText(reply), turnId: turn.id };
  const assistant = `${cutText(heard.trimEnd())} ${CUT_MARK}`.trimStart();
  return { user, assistant, turnId: turn.id, interrupted: true };
}

/** How a history is kept in a database. */
type StoredHistoryOptions = {
  /** True if other gateways write to the same database: then each turn asks it. */
  readonly isShared: boolean;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
};

/**
 * A history in a database. What this process has of it is not asked for again, and serves while the
 * database is down.
 */
export function createStoredHistory(
  store: TurnStore,
  local: LocalHistory,
  { isShared, now = Date.now }: StoredHistoryOptions,
): History {
  return {
    begin(turn) {
      const [inProcess, inStore] = [local.begin(turn), store.begin(turn)];
      let latest: TurnState;
      return {
        async write(state) {
          latest = state;
          void inProcess.write(state);
          // A turn that was cut writes while its signal fires, and nothing waits for it: its row later.
          if (!hasCompleted(state)) await turnOfLoop();
          await inStore.write(latest);
        },
      };
    },
    async recall(session) {
      if (!isShared && local.has(session)) return local.recall(session);
      const query = { ...session, since: now() - REST_MS, limit: MAX_RECALLED };
      const turns = await store.recall(query);
      if (!turns) return local.recall(session);
      const messagePairs = turns.map((turn) => messagePairOf(turn, turn));
      local.fill(session, messagePairs);
      return messagePairs;
    },
  };
}

function hasCompleted({ status }: TurnState): boolean {
  return status === "done" || status === "partial";
}

/**
 * The text or its beginning, as a string of its own: a part of another keeps all of that alive, and
 * one that was put together of deltas keeps each of them.
 */
function cutText(text: string): string {
  const whole = text.length <= longestText ? text : `${text.slice(0, longestText)}…`;
  return Buffer.from(whole).toString();
}
