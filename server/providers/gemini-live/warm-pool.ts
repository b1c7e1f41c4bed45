import type { LiveConnection } from "./connection.ts";

/** Connections kept ready for new conversations. */
export type WarmPool = {
  /** Opens missing connections in the background. Does nothing after `stop`. */
  fill(): void;
  /** Takes a ready connection out of the pool; undefined if there is none. */
  take(): LiveConnection | undefined;
  /** Closes all connections, including those being opened. */
  stop(): Promise<void>;
};

/** Options of a warm pool. */
export type WarmPoolOptions = {
  readonly count: number;
  readonly open: (signal: AbortSignal) => Promise<LiveConnection>;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Called when a connection cannot be opened. */
  readonly onError?: ((error: unknown) => void) | undefined;
};

/** A connection that ended sooner is not replaced at once: the server may be down. */
const outageMs = 30_000;

/**
 * Keeps `count` connections ready, and replaces one that ends. One that cannot be opened, or ends too
 * soon, is replaced by the next `fill`, so that a server that is down is not hammered.
 */
export function createWarmPool({ count, open, now, onError }: WarmPoolOptions): WarmPool {
  const ready = new Set<LiveConnection>();
  const opening = new Set<Promise<void>>();
  const stopped = new AbortController();

  const drop = (connection: LiveConnection, sinceMs: number) => {
    ready.delete(connection);
    connection.close();
    if (now() - sinceMs >= outageMs) fill();
  };

  const add = async () => {
    try {
      const connection = await open(stopped.signal);
      const sinceMs = now();
      ready.add(connection);
      connection.watch({ onEnding: () => drop(connection, sinceMs) });
    } catch (error) {
      // Nobody waits for it: a turn opens its own connection, and gets the error.
      if (!stopped.signal.aborted) onError?.(error);
    }
  };

  const fill = () => {
    while (!stopped.signal.aborted && ready.size + opening.size < count) {
      const opened: Promise<void> = add().finally(() => opening.delete(opened));
      opening.add(opened);
    }
  };

  return {
    fill,
    take() {
      for (const connection of ready) {
        ready.delete(connection);
        connection.watch({});
        if (connection.isUsable()) return connection;
        connection.close();
      }
      return undefined;
    },
    async stop() {
      stopped.abort(new Error("stopped"));
      await Promise.all(opening);
      for (const connection of ready) connection.close();
      ready.clear();
    },
  };
}
