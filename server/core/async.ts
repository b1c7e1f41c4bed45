/**
 * Why a turn was cut short.
 * - `disconnected`: the client cancelled its call, disconnected, or stopped reading.
 * - `interrupted`: the device was interrupted.
 * - `deadline`: the turn took longer than it may.
 * - `shutdown`: the gateway is stopping.
 * - `revoked`: the token of its client was revoked.
 */
export type CancelReason = "disconnected" | "interrupted" | "deadline" | "shutdown" | "revoked";

const messages: Record<CancelReason, string> = {
  disconnected: "the client left",
  interrupted: "the turn was interrupted",
  deadline: "the turn took longer than it may",
  shutdown: "the gateway is stopping",
  revoked: "the token was revoked",
};

/** The reason of a turn's signal. A cancel is never a provider's failure. */
export class TurnCancelled extends Error {
  override readonly name = "TurnCancelled";
  readonly reason: CancelReason;

  constructor(reason: CancelReason) {
    super(messages[reason]);
    this.reason = reason;
  }
}

/** Throws the signal's own reason if it has fired. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason;
}

/**
 * Calls `listener` once when the signal fires, at once if it has fired already.
 * Returns a function that takes the listener away; call it when the work is over, or the signal
 * keeps what the listener refers to alive.
 */
export function onAbort(signal: AbortSignal, listener: (reason: unknown) => void): () => void {
  if (signal.aborted) {
    listener(signal.reason);
    return () => undefined;
  }
  const run = () => listener(signal.reason);
  signal.addEventListener("abort", run, { once: true });
  return () => signal.removeEventListener("abort", run);
}

/**
 * Waits for the promise, or rejects with the signal's reason as soon as it fires. The promise's own
 * work goes on: pass the signal to it as well. A rejection after the signal fired is swallowed.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const fired = Promise.withResolvers<never>();
  const dispose = onAbort(signal, fired.reject);
  promise.catch(() => undefined);
  fired.promise.catch(() => undefined);
  try {
    return await Promise.race([promise, fired.promise]);
  } finally {
    dispose();
  }
}

/** A bounded queue between one writer and one reader, both asynchronous. */
export type Channel<T> = AsyncIterable<T> & {
  /**
   * Reads in batches: all items that wait at the time of a pull, up to the size `maxSize`, as one
   * array. It holds one item at least.
   */
  batches(maxSize: number): AsyncIterable<readonly T[]>;
  /**
   * Adds an item: at once, or when the queue is no longer full. False, or resolves to false, if nobody
   * will read it: the reader left, the signal fired or the channel was closed. Stop writing then.
   */
  push(item: T): Pushed;
  /** Adds items one after another, as `push` does. Those that fit are there at once. */
  pushAll(items: readonly T[]): Pushed;
  /** Ends the channel. The reader gets what was pushed; then it ends, or throws `error`. */
  close(error?: unknown): void;
};

/** Whether an item was taken: a promise only while the queue is full. */
type Pushed = boolean | Promise<boolean>;

type Step<T> = IteratorResult<T, undefined>;

/** A queue of items that knows their size. */
function createQueue<T>(sizeOf: (item: T) => number) {
  const items: T[] = [];
  let size = 0;
  const take = (): T => {
    const item = items.shift() as T;
    size -= sizeOf(item);
    return item;
  };
  return {
    take,
    isEmpty: () => items.length === 0,
    size: () => size,
    add(item: T) {
      items.push(item);
      size += sizeOf(item);
    },
    /** Takes items up to a size, and one at least. */
    takeUpTo(maxSize: number): readonly T[] {
      const taken: T[] = [];
      const least = size - maxSize;
      do taken.push(take());
      while (items.length > 0 && size - sizeOf(items[0] as T) >= least);
      return taken;
    },
    clear() {
      items.length = 0;
      size = 0;
    },
  };
}

/**
 * Makes a channel that takes items while fewer than `capacity` wait (1 or more), or while their sizes
 * by `sizeOf` are less than that.
 *
 * When the signal fires the reader throws its reason at once, whatever is still queued, and waiting
 * writers are released. So neither side depends on the other to notice a cancel.
 */
export function createChannel<T>(
  capacity: number,
  signal: AbortSignal,
  sizeOf: (item: T) => number = () => 1,
): Channel<T> {
  const queue = createQueue(sizeOf);
  let ended: { error?: unknown } | undefined;
  /** Answers the reader, which waits for an item or the end; nothing is queued then. */
  let wakeReader: (() => void) | undefined;
  let wakeWriter: (() => void) | undefined;

  const end = (error?: unknown) => {
    ended = error === undefined ? {} : { error };
    wakeReader?.();
    wakeWriter?.();
  };
  const discard = (error?: unknown) => {
    queue.clear();
    end(error);
  };
  const forget = onAbort(signal, discard);

  const room = () => new Promise<void>((resolve) => (wakeWriter = resolve));
  // These are not async functions: every part of a voice passes through them.
  const push = (items: readonly T[], start = 0): Pushed => {
    if (ended !== undefined) return false;
    let at = start;
    while (at < items.length && queue.size() < capacity) {
      while (at < items.length && queue.size() < capacity) queue.add(items[at++] as T);
      // Makes room if a reader waits.
      wakeReader?.();
    }
    return at === items.length || room().then(() => push(items, at));
  };
  const takeStep = <Taken>(take: () => Taken): Step<Taken> => {
    const value = take();
    wakeWriter?.();
    return { done: false, value };
  };
  /** Returns what `take` takes from the queue as soon as something is in it. */
  const read = <Taken>(take: () => Taken): Promise<Step<Taken>> => {
    if (!queue.isEmpty()) return Promise.resolve(takeStep(take));
    if (ended !== undefined) return endStep(ended);
    return new Promise((resolve) => {
      wakeReader = () => {
        wakeReader = undefined;
        resolve(queue.isEmpty() ? endStep(ended ?? {}) : takeStep(take));
      };
    });
  };
  const leave = () => {
    forget();
    discard();
  };
  const iterate = <Taken>(take: () => Taken) => iterable(() => read(take), leave);
  return {
    push: (item) => push([item]),
    pushAll: (items) => push(items),
    close(error) {
      if (ended !== undefined) return;
      forget();
      end(error);
    },
    batches: (maxSize) => iterate(() => queue.takeUpTo(maxSize)),
    ...iterate(queue.take),
  };
}

/** Not a generator: one that was never begun would not notice that its reader left. */
function iterable<T>(next: () => Promise<Step<T>>, onLeave: () => void) {
  const leave = () => {
    onLeave();
    return endStep({});
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: leave }) };
}

async function endStep(ended: { error?: unknown }): Promise<IteratorResult<never, undefined>> {
  if ("error" in ended) throw ended.error;
  return { done: true, value: undefined };
}

/**
 * Starts to pull `source` at once, ahead of the reader, and writes it into a channel of `capacity`.
 * Order and errors are the source's; items come before the error that followed them. When the signal
 * fires the reader throws its reason; when the reader leaves, the source is returned.
 */
export function readAhead<T>(
  source: AsyncIterable<T>,
  capacity: number,
  signal: AbortSignal,
): Channel<T> {
  const channel = createChannel<T>(capacity, signal);
  void pump(source, channel, channel.push);
  return channel;
}

/**
 * Writes all of `source` into the channel with `push`, and closes it with the source's end or error.
 * Resolves then, or when nobody reads any more.
 */
export async function pump<Item, T>(
  source: AsyncIterable<Item>,
  channel: Channel<T>,
  push: (item: Item) => Pushed,
): Promise<void> {
  try {
    for await (const item of source) {
      const pushed = push(item);
      if (!(typeof pushed === "boolean" ? pushed : await pushed)) break;
    }
    channel.close();
  } catch (error) {
    channel.close(error);
  }
}

/**
 * Lets one wait until nothing runs. `check` is to be called whenever something has ended; `after` makes a
 * function that ends something and then checks.
 */
export function createIdleWatch(isIdle: () => boolean) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isAwaited = false;
  const check = () => {
    if (isAwaited && isIdle()) resolve();
  };
  const wait = () => {
    isAwaited = true;
    check();
    return promise;
  };
  const after = (end: () => void) => () => {
    end();
    check();
  };
  return { check, after, wait };
}
