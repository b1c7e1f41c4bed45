import { createHash } from "node:crypto";
import { abortable } from "../../core/async.ts";
import type { MessagePair, PromptContext } from "../../models/language-model.ts";
import type { LiveConnection } from "./connection.ts";

/** A connection kept for its conversation's next turn. */
type Idle = {
  readonly connection: LiveConnection;
  readonly timer: NodeJS.Timeout;
  /** For a prepared connection: stops watching the preparation's signal. */
  readonly removeListener?: () => void;
};

/** The state of one device's conversation. */
export type Conversation = {
  /** Resumes its server session. */
  resumptionToken?: { readonly value: string; readonly atMs: number } | undefined;
  /** The connection of its last turn, or one prepared for its next. */
  idle?: Idle | undefined;
  /** Hashes of the prompts that its server session has seen, oldest first. */
  seen: readonly string[];
  /** Resolves when all turns so far are over. */
  turns: Promise<void>;
  /** Turns that run or wait for their turn. */
  pending: number;
};

/** Conversations by device and session. */
export type Conversations = {
  /** The prompt's conversation. Without a device it is a new one that is not kept. */
  of(prompt: PromptContext): Conversation;
  /** Closes all idle connections and drops all state. */
  clear(): void;
};

/** Hashes kept for each conversation. */
const maxHashes = 32;

/** Keeps up to `limit` conversations, and evicts the least recently used. */
export function createConversations(limit: number): Conversations {
  const kept = new Map<string, Conversation>();
  const trim = () => {
    for (const [key, conversation] of kept) {
      if (kept.size <= limit) return;
      if (conversation.pending > 0) continue;
      kept.delete(key);
      dropIdle(conversation);
    }
  };
  return {
    of({ deviceId, sessionId }) {
      if (deviceId === undefined) return createConversation();
      const key = JSON.stringify([deviceId, sessionId]);
      const conversation = kept.get(key) ?? createConversation();
      kept.delete(key);
      kept.set(key, conversation);
      trim();
      return conversation;
    },
    clear() {
      for (const conversation of kept.values()) dropIdle(conversation);
      kept.clear();
    },
  };
}

function createConversation(): Conversation {
  return { seen: [], turns: Promise.resolve(), pending: 0 };
}

/**
 * Waits for the conversation's earlier turns. Returns a function that ends this one; it may be called
 * more than once. Throws the signal's reason if that fires first.
 */
export async function enter(conversation: Conversation, signal: AbortSignal): Promise<() => void> {
  const over = Promise.withResolvers<void>();
  const before = conversation.turns;
  conversation.turns = before.then(() => over.promise);
  conversation.pending += 1;
  over.promise.then(() => {
    conversation.pending -= 1;
  });
  try {
    await abortable(before, signal);
    return over.resolve;
  } catch (error) {
    over.resolve();
    throw error;
  }
}

/** Closes the conversation's idle connection, if it has one. */
export function dropIdle(conversation: Conversation): void {
  takeIdle(conversation)?.close();
}

/** Removes and returns the idle connection. */
export function takeIdle(conversation: Conversation): LiveConnection | undefined {
  const { idle } = conversation;
  conversation.idle = undefined;
  clearTimeout(idle?.timer);
  idle?.removeListener?.();
  return idle?.connection;
}

/**
 * The earlier turns that the server session has not seen: another tier answered them, or they were
 * interrupted. Undefined if the history differs from what the session has seen: then the session
 * must not be resumed. A prompt without history accepts the server's.
 */
export function unseenOf(
  { seen }: Conversation,
  history: readonly MessagePair[] | undefined,
): readonly MessagePair[] | undefined {
  if (seen.length === 0) return history ?? [];
  if (!history) return [];
  const last = history.findLastIndex(({ user }) => seen.includes(hashOf(user)));
  return last < 0 ? undefined : history.slice(last + 1);
}

/** Makes the next turn begin a new server session. */
export function forgetSession(conversation: Conversation): void {
  conversation.resumptionToken = undefined;
  conversation.seen = [];
}

/** Records that the server session has seen these prompts. */
export function noteSeen(conversation: Conversation, prompts: readonly string[]): void {
  conversation.seen = [...conversation.seen, ...prompts.map(hashOf)].slice(-maxHashes);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
