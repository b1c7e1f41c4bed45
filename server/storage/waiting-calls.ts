import type { AnswerOf, ArgumentsOf, CallName } from "./calls.ts";
import { StorageError } from "./errors.ts";
import type { RecalledTurn, RecallQuery } from "./records.ts";

/** Calls that wait for the database's answer. */
export type WaitingCalls = {
  /**
   * Adds a call and passes it on. Rejects with a `StorageError`, also after the time-out, or with the
   * signal's reason.
   */
  add<Name extends CallName>(
    name: Name,
    args: ArgumentsOf<Name>,
    signal: AbortSignal,
  ): Promise<AnswerOf<Name>>;
  /** The database has answered, or failed. */
  settle(id: number, answer: { readonly value?: unknown } | StorageError): void;
  /** None will be answered. */
  failAll(error: StorageError): void;
};

/** Makes a list without calls. `send` passes one on to the database. */
export function createWaitingCalls(
  send: (id: number, name: CallName, args: object) => void,
  timeoutMs: number,
): WaitingCalls {
  const waiting = new Map<number, (answer: { readonly value?: unknown } | StorageError) => void>();
  let lastId = 0;
  return {
    async add(name, args, signal) {
      signal.throwIfAborted();
      const id = ++lastId;
      const answered = Promise.withResolvers<unknown>();
      const onAbort = () => answered.reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      const timer = setTimeout(() => answered.reject(new StorageError("timeout")), timeoutMs);
      waiting.set(id, (answer) => {
        if (answer instanceof StorageError) answered.reject(answer);
        else answered.resolve(answer.value);
      });
      send(id, name, args);
      try {
        return (await answered.promise) as AnswerOf<typeof name>;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        waiting.delete(id);
      }
    },
    settle: (id, answer) => waiting.get(id)?.(answer),
    failAll(error) {
      for (const settle of waiting.values()) settle(error);
    },
  };
}

/** How long a turn waits for what the database has of its session. */
const RECALL_MS = 2000;

/**
 * Makes `TurnStore.recall` of calls: undefined if the database takes longer than a turn waits, or fails.
 * `onError` hears of a failure.
 */
export function createRecall(
  calls: Pick<WaitingCalls, "add">,
  { timeoutMs }: { readonly timeoutMs: number },
  onError: (error: StorageError) => void,
) {
  return async (query: RecallQuery): Promise<readonly RecalledTurn[] | undefined> => {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), Math.min(RECALL_MS, timeoutMs));
    try {
      return await calls.add("recallTurns", query, late.signal);
    } catch (error) {
      if (error instanceof StorageError) onError(error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  };
}
