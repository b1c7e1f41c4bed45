import { onAbort } from "./abort.ts";

/** A bounded queue between one writer and one reader, both asynchronous. */
export type Channel<T> = AsyncIterable<T> & {
  /** Reads all items that are there at the time of a pull as one array, never empty. */
  readonly batches: AsyncIterable<readonly T[]>;
  /**
   * Hands an item over, waiting while the queue is full. Resolves to false if nobody will read it:
   * the reader left, the signal fired or the channel was closed. Stop writing then.
   */
  push(item: T): Promise<boolean>;
  /** Ends the channel. What was pushed is still read; then the reader ends, or throws `error`. */
  close(error?: unknown): void;
};

type Step<T> = IteratorResult<T, undefined>;

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
  /** Wakes the reader, which waits for an item or the end; nothing is queued then. */
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;

  const end = (error?: unknown) => {
    ended = error === undefined ? {} : { error };
    wakeReader?.();
    wakeWriter?.();
  };
  const discard = (error?: unknown) => {
    queue.length = 0;
    end(error);
  };
  const forget = onAbort(signal, discard);

  // These are not async functions: every piece of a voice passes through them.
  const push = (item: T): Promise<boolean> => {
    if (ended !== undefined) return refused;
    if (queue.length >= capacity) return room().then(() => push(item));
    queue.push(item);
    wakeReader?.();
    return accepted;
  };
  const room = () => new Promise<void>((resolve) => (wakeWriter = resolve));
  const news = () => new Promise<void>((resolve) => (wakeReader = resolve));
  /** Answers what `take` makes of the queue as soon as something is in it. */
  const read = <Taken>(take: () => Taken): Promise<Step<Taken>> => {
    if (queue.length > 0) {
      const value = take();
      wakeWriter?.();
      return Promise.resolve({ done: false, value });
    }
    if (ended !== undefined) return endStep(ended);
    return news().then(() => read(take));
  };

  const close = (error?: unknown) => {
    if (ended !== undefined) return;
    forget();
    end(error);
  };
  // Not a generator: one that was never begun would not notice that its reader left.
  const leave = async (): Promise<IteratorResult<never, undefined>> => {
    forget();
    discard();
    return { done: true, value: undefined };
  };
  const iterate = <Taken>(take: () => Taken) => ({
    [Symbol.asyncIterator]: () => ({ next: () => read(take), return: leave }),
  });

  return {
    push,
    close,
    batches: iterate(() => queue.splice(0)),
    ...iterate(() => queue.shift() as T),
  };
}

async function endStep(ended: { error?: unknown }): Promise<IteratorResult<never, undefined>> {
  if ("error" in ended) throw ended.error;
  return { done: true, value: undefined };
}
