import type { RecalledTurn, RecallQuery } from "./records.ts";

/** Reads that wait for the database. */
export type Recalls = {
  /** Resolves with what the database answers; undefined after the time-out, or if it has failed. */
  ask(query: RecallQuery): Promise<readonly RecalledTurn[] | undefined>;
  /** The database has answered, or failed. */
  settle(id: number, turns?: readonly RecalledTurn[]): void;
  /** None will be answered. */
  endAll(): void;
};

/** Makes a list without reads. `send` passes one on to the database. */
export function createRecalls(
  send: (id: number, query: RecallQuery) => void,
  timeoutMs: number,
): Recalls {
  const waiting = new Map<number, (turns?: readonly RecalledTurn[]) => void>();
  let lastId = 0;
  const settle = (id: number, turns?: readonly RecalledTurn[]) => waiting.get(id)?.(turns);
  return {
    ask(query) {
      const id = ++lastId;
      return new Promise((resolve) => {
        const timer = setTimeout(settle, timeoutMs, id);
        waiting.set(id, (turns) => {
          clearTimeout(timer);
          waiting.delete(id);
          resolve(turns);
        });
        send(id, query);
      });
    },
    settle,
    endAll() {
      for (const id of [...waiting.keys()]) settle(id);
    },
  };
}
