import { abortable } from "../../core/async.ts";

/** Messages that wait for the reader of one reply. */
export type Inbox<Message> = {
  /** Never waits: a socket hands over what it has read already. */
  put(message: Message): void;
  /** Ends it: the reader gets what is here, and then the error. */
  fail(error: Error): void;
  /**
   * Waits for the next message; undefined if none comes within `waitMs`. Throws the signal's
   * reason as soon as it fires, and the error of `fail`.
   */
  take(signal: AbortSignal, waitMs?: number): Promise<Message | undefined>;
};

/** Where the messages come from. */
export type Source = { pause(): void; resume(): void };

/** About 3 s of sound. */
const highWater = 64;
const lowWater = 16;

/** Makes an inbox that stops its source while too much waits, so that a slow reader slows it. */
export function createInbox<Message>(source: Source): Inbox<Message> {
  const waiting: Message[] = [];
  let failure: Error | undefined;
  let wake = () => {};
  let paused = false;

  const waitFor = async (signal: AbortSignal, waitMs: number | undefined) => {
    const come = Promise.withResolvers<void>();
    wake = come.resolve;
    const timer = waitMs === undefined ? undefined : setTimeout(come.resolve, waitMs);
    try {
      await abortable(come.promise, signal);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    put(message) {
      waiting.push(message);
      if (waiting.length >= highWater && !paused) {
        paused = true;
        source.pause();
      }
      wake();
    },
    fail(error) {
      failure ??= error;
      wake();
    },
    async take(signal, waitMs) {
      if (waiting.length === 0 && !failure) await waitFor(signal, waitMs);
      signal.throwIfAborted();
      const [message] = waiting.splice(0, 1);
      if (message === undefined && failure) throw failure;
      if (paused && waiting.length <= lowWater) {
        paused = false;
        source.resume();
      }
      return message;
    },
  };
}
