import { createHash } from "node:crypto";
import { abortable } from "../../core/async.ts";
import type { MessagePair, Prompt, PromptContext } from "../../models/language-model.ts";
import type { LiveConnection, Resumption } from "./connection.ts";

/** A connection kept for its conversation's next turn. */
type Idle = {
  readonly connection: LiveConnection;
  readonly timer: NodeJS.Timeout;
  /** For a prepared connection: stops watching the preparation's signal. */
  readonly removeListener?: () => void;
};

/** The state of one device's conversation. */
export type Conversation = {
  /** Resumes its server session, as it was when it had seen some of its turns. */
  resumption?: (Resumption & { readonly atMs: number }) | undefined;
  /** The connection of its last turn, or one prepared for its next. */
  idle?: Idle | undefined;
  /** Resolves when all turns so far are over. */
  turns: Promise<void>;
  /** Turns that run or wait for their turn. */
  pending: number;
};

/** Conversations by device and session. */
export type Conversations = {
  /** The prompt's conversation. Without a device it is a new one that is not kept. */
  of(prompt: PromptContext): Conversation;
  /** Closes the connection that has been idle for longest. False if none is idle. */
  giveUpIdle(): boolean;
  /** Closes all idle connections and drops all state. */
  clear(): void;
};

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
    giveUpIdle() {
      const idle = kept.values().find((conversation) => conversation.idle && !conversation.pending);
      if (idle) dropIdle(idle);
      return idle !== undefined;
    },
    clear() {
      for (const conversation of kept.values()) dropIdle(conversation);
      kept.clear();
    },
  };
}

function createConversation(): Conversation {
  return { turns: Promise.resolve(), pending: 0 };
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
 * The earlier turns that a server session which has `seen` these does not know: another tier answered
 * them, they were interrupted, or the session is resumed as it was before them. Undefined if the history
 * knows none of what the session has seen: then that must not be used. A prompt without history accepts
 * the session's.
 */
export function unseenOf(
  seen: readonly string[],
  history: readonly MessagePair[] | undefined,
): readonly MessagePair[] | undefined {
  if (seen.length === 0) return history ?? [];
  if (!history) return [];
  // One that was cut after the session had sent it whole is told again, as it was heard.
  const last = history.findLastIndex(
    ({ user, turnId, interrupted }) => !interrupted && seen.includes(keyOf({ text: user, turnId })),
  );
  return last < 0 ? undefined : history.slice(last + 1);
}

/** What a session remembers of these turns once it has seen them. */
export function seenAfter(unseen: readonly MessagePair[], prompt: Prompt): readonly string[] {
  const earlier = unseen.map(({ user, turnId }) => keyOf({ text: user, turnId }));
  return [...earlier, ...memoryKey(prompt), keyOf(prompt)];
}

/** The prompt, without a memory that the server session has seen. */
export function withoutSeenMemory(prompt: Prompt, seen: readonly string[]): Prompt {
  const { memory: _, ...rest } = prompt;
  return memoryKey(prompt).some((key) => seen.includes(key)) ? rest : prompt;
}

function memoryKey({ memory }: Prompt): readonly string[] {
  return memory === undefined ? [] : [`memory ${hashOf(memory)}`];
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

/** The same words twice ("yes") are two turns: their ids differ. A turn without one has its words. */
function keyOf({ text, turnId }: { readonly text: string; readonly turnId?: string | undefined }) {
  return turnId ?? hashOf(text);
}
