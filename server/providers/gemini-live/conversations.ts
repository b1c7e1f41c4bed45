import { createHash } from "node:crypto";
import { abortable } from "../../core/async.ts";
import type { MessagePair, PromptContext } from "../../models/language-model.ts";
import type { LiveConnection } from "./connection.ts";

/** A connection that waits for its conversation's next turn. */
type Idle = {
  readonly connection: LiveConnection;
  readonly timer: NodeJS.Timeout;
  /** Stops waiting for the end of the preparation that it was opened for. */
  readonly forget?: () => void;
};

/** What the tier keeps of one device's conversation. */
export type Conversation = {
  /** Goes on with its server session. */
  resumptionToken?: { readonly value: string; readonly atMs: number } | undefined;
  /** The connection of its last turn, or one that was prepared for its next. */
  idle?: Idle | undefined;
  /** Marks of the prompts that its server session has seen, oldest first. */
  seen: readonly string[];
  /** When all turns so far will be over. */
  turns: Promise<void>;
  /** Turns that run or wait. */
  pending: number;
};

/** Conversations by device and session. */
export type Conversations = {
  /** The prompt's own, made if need be; one for this turn alone if no device is named. */
  of(prompt: PromptContext): Conversation;
  /** Closes every idle connection and forgets everything. */
  clear(): void;
};

/** Prompts of a session that are remembered as seen. */
const marksKept = 32;

/** Keeps `limit` conversations; beyond that the one that was used least lately is forgotten. */
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
 * Waits until the conversation's earlier turns are over. Returns what ends this one; it may be
 * called more than once. Throws the signal's reason if it fires before.
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

/** Closes the connection that the conversation keeps between turns, if it does. */
export function dropIdle(conversation: Conversation): void {
  takeIdle(conversation)?.close();
}

/** Takes the kept connection out. */
export function takeIdle(conversation: Conversation): LiveConnection | undefined {
  const { idle } = conversation;
  conversation.idle = undefined;
  clearTimeout(idle?.timer);
  idle?.forget?.();
  return idle?.connection;
}

/**
 * The earlier turns that the server session has not seen: those that another tier answered, or that
 * were cut short. Undefined if the session knows another past than the history tells: then it must
 * not be gone on with. A prompt without any history leaves the past to the server.
 */
export function unseenOf(
  { seen }: Conversation,
  history: readonly MessagePair[] | undefined,
): readonly MessagePair[] | undefined {
  if (seen.length === 0) return history ?? [];
  if (!history) return [];
  const last = history.findLastIndex(({ user }) => seen.includes(markOf(user)));
  return last < 0 ? undefined : history.slice(last + 1);
}

/** Has the next turn begin a server session of its own. */
export function forgetSession(conversation: Conversation): void {
  conversation.resumptionToken = undefined;
  conversation.seen = [];
}

/** Notes that the server session has seen these prompts. */
export function noteSeen(conversation: Conversation, prompts: readonly string[]): void {
  conversation.seen = [...conversation.seen, ...prompts.map(markOf)].slice(-marksKept);
}

function markOf(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
