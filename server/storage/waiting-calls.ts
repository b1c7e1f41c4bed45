import type { AnswerOf, ArgumentsOf, CallName } from "./calls.ts";
import { StorageError } from "./errors.ts";

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
