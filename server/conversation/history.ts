import type { MessagePair } from "../models/language-model.ts";

/** Who talks: a device, and the conversation that it names, if it does. */
export type Talker = { readonly deviceId?: string; readonly conversationId?: string };

/** The latest turns of each conversation, in this process. */
export type History = {
  /** Earlier turns, oldest first. None for a talker without a device: nobody could own them. */
  recall(talker: Talker): readonly MessagePair[];
  /** Adds a turn, as far as it came. */
  record(talker: Talker, messagePair: MessagePair): void;
};

/** How much is kept, and for how long. */
export type HistoryLimits = {
  readonly maxMessagePairs?: number;
  readonly maxConversations?: number;
  /** A conversation that rested for so long begins anew. */
  readonly restMs?: number;
  readonly now?: () => number;
};

type Kept = { readonly messagePairs: readonly MessagePair[]; readonly atMs: number };

/** Makes an empty history: 20 turns of each of 1000 conversations, kept for half an hour. */
export function createHistory(limits: HistoryLimits = {}): History {
  const { maxMessagePairs = 20, maxConversations = 1000, restMs = 30 * 60_000 } = limits;
  const now = limits.now ?? (() => performance.now());
  /** Longest untouched first. */
  const conversations = new Map<string, Kept>();

  const recall = (talker: Talker) => {
    const kept = conversations.get(keyOf(talker));
    return kept && now() - kept.atMs < restMs ? kept.messagePairs : [];
  };
  return {
    recall,
    record(talker, messagePair) {
      if (talker.deviceId === undefined || messagePair.assistant === "") return;
      const key = keyOf(talker);
      const messagePairs = [...recall(talker), messagePair].slice(-maxMessagePairs);
      conversations.delete(key);
      conversations.set(key, { messagePairs, atMs: now() });
      const [oldest] = conversations.keys();
      if (conversations.size > maxConversations && oldest !== undefined)
        conversations.delete(oldest);
    },
  };
}

/** No device can name another's conversation: its own id is a part of the key. */
function keyOf({ deviceId, conversationId }: Talker): string {
  return JSON.stringify([deviceId, conversationId]);
}
