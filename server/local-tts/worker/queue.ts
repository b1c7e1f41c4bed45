import { onAbort, throwIfAborted } from "../../core/async/abort.ts";

type Entry = { readonly neededAtMs: number; readonly admit: () => void };

/** A door that lets one through at a time. */
export type Queue = {
  /**
   * Waits for its turn and returns the function that ends it; call that once. Who needs its turn
   * earliest goes first; of equals, who came first. Rejects with the signal's reason, and leaves
   * the queue at once, when the signal fires before its turn.
   */
  enter(neededAtMs: number, signal: AbortSignal): Promise<() => void>;
  /** How many wait. */
  readonly waiting: () => number;
};

/** Creates an open door. */
export function createQueue(): Queue {
  const entries: Entry[] = [];
  let busy = false;

  const admitNext = () => {
    const next = entries.shift();
    busy = next !== undefined;
    next?.admit();
  };

  return {
    waiting: () => entries.length,
    async enter(neededAtMs, signal) {
      throwIfAborted(signal);
      if (!busy) {
        busy = true;
        return admitNext;
      }
      const admitted = Promise.withResolvers<() => void>();
      const entry = { neededAtMs, admit: () => admitted.resolve(admitNext) };
      insert(entries, entry);
      const forget = onAbort(signal, (reason) => {
        const at = entries.indexOf(entry);
        if (at < 0) return;
        entries.splice(at, 1);
        admitted.reject(reason);
      });
      return admitted.promise.finally(forget);
    },
  };
}

function insert(entries: Entry[], entry: Entry): void {
  const at = entries.findLastIndex((other) => other.neededAtMs <= entry.neededAtMs);
  entries.splice(at + 1, 0, entry);
}
