import { onAbort } from "./abort.ts";

/** A bounded queue between one writer and one reader, both asynchronous. */
export type Channel<T> = AsyncIterable<T> & {
  /**
   * Hands an item over, waiting while the queue is full. Resolves to false if nobody will read it:
   * the reader left, the signal fired or the channel was closed. Stop writing then.
   */
  push(item: T): Promise<boolean>;
  /** Ends the channel. What was pushed is still read; then the reader ends, or throws `error`. */
  close(error?: unknown): void;
};

/**
 * Makes a channel that holds `capacity` items at most (1 or more).
 *
 * When the signal fires the reader throws its reason at once, whatever is still queued, and waiting
 * writers are let go. So neither side depends on the other to notice a cancel.
 */
export function createChannel<T>(capacity: number, signal: AbortSignal): Channel<T> {
  const queue: T[] = [];
  let ended: { error?: unknown } | undefined;
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;

  const wake = () => {
    wakeReader?.();
    wakeWriter?.();
  };
  const discard = (error?: unknown) => {
    queue.length = 0;
    ended = error === undefined ? {} : { error };
    wake();
  };
  const forget = onAbort(signal, discard);

  const push = async (item: T): Promise<boolean> => {
    while (ended === undefined && queue.length >= capacity) {
      await new Promise<void>((resolve) => {
        wakeWriter = resolve;
      });
    }
    if (ended !== undefined) return false;
    queue.push(item);
    wakeReader?.();
    return true;
  };

  const close = (error?: unknown) => {
    if (ended !== undefined) return;
    ended = error === undefined ? {} : { error };
    forget();
    wake();
  };

  const next = async (): Promise<IteratorResult<T, undefined>> => {
    while (queue.length === 0) {
      if (ended !== undefined) {
        if ("error" in ended) throw ended.error;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => {
        wakeReader = resolve;
      });
    }
    const [value] = queue.splice(0, 1) as [T];
    wakeWriter?.();
    return { done: false, value };
  };

  // Not a generator: one that was never begun would not notice that its reader left.
  const leave = async (): Promise<IteratorResult<T, undefined>> => {
    forget();
    discard();
    return { done: true, value: undefined };
  };

  return { push, close, [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}
