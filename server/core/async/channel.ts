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

const accepted = Promise.resolve(true);
const refused = Promise.resolve(false);

/**
 * Makes a channel that holds `capacity` items at most (1 or more).
 *
 * When the signal fires the reader throws its reason at once, whatever is still queued, and waiting
 * writers are let go. So neither side depends on the other to notice a cancel.
 */
export function createChannel<T>(capacity: number, signal: AbortSignal): Channel<T> {
  const queue: T[] = [];
  let ended: { error?: unknown } | undefined;
  /** The reader's wait for an item; nothing is queued then. */
  let reader: PromiseWithResolvers<IteratorResult<T, undefined>> | undefined;
  let wakeWriter: (() => void) | undefined;

  const end = (error?: unknown) => {
    ended = error === undefined ? {} : { error };
    reader?.resolve(endStep(ended));
    reader = undefined;
    wakeWriter?.();
  };
  const discard = (error?: unknown) => {
    queue.length = 0;
    end(error);
  };
  const forget = onAbort(signal, discard);

  const room = () =>
    new Promise<void>((resolve) => {
      wakeWriter = resolve;
    });
  // These two are not async functions: every piece of a voice passes through them.
  const push = (item: T): Promise<boolean> => {
    if (ended !== undefined) return refused;
    if (queue.length >= capacity) return room().then(() => push(item));
    if (reader) {
      reader.resolve({ done: false, value: item });
      reader = undefined;
    } else {
      queue.push(item);
    }
    return accepted;
  };
  const next = (): Promise<IteratorResult<T, undefined>> => {
    if (queue.length > 0) {
      const value = queue.shift() as T;
      wakeWriter?.();
      return Promise.resolve({ done: false, value });
    }
    if (ended === undefined) {
      reader = Promise.withResolvers();
      return reader.promise;
    }
    return endStep(ended);
  };

  const close = (error?: unknown) => {
    if (ended !== undefined) return;
    forget();
    end(error);
  };

  // Not a language model: one that was never begun would not notice that its reader left.
  const leave = async (): Promise<IteratorResult<T, undefined>> => {
    forget();
    discard();
    return { done: true, value: undefined };
  };

  return { push, close, [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}

async function endStep(ended: { error?: unknown }): Promise<IteratorResult<never, undefined>> {
  if ("error" in ended) throw ended.error;
  return { done: true, value: undefined };
}
