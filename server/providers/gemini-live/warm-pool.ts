import type { LiveConnection } from "./connection.ts";

/** Connections that stand ready for whoever comes next. */
export type WarmPool = {
  /** Opens what is missing, in the background. Not after `stop`. */
  fill(): void;
  /** One that is ready, which is the caller's alone from then on; undefined if none is. */
  take(): LiveConnection | undefined;
  /** Closes all, and those that are being opened. */
  stop(): Promise<void>;
};

/** What warmConnections are made of. */
export type WarmPoolOptions = {
  readonly count: number;
  readonly open: (signal: AbortSignal) => Promise<LiveConnection>;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Told why one cannot be opened. */
  readonly onError?: ((error: unknown) => void) | undefined;
};

/** One that ended sooner than this is not replaced at once: the server does not want it. */
const shortLifeMs = 30_000;

/**
 * Keeps up to `count` fresh connections. One that ends or is about to is replaced; one that cannot
 * be opened, or does not last, waits for the next `fill`: an outage is not hammered.
 */
export function createWarmPool({ count, open, now, onError }: WarmPoolOptions): WarmPool {
  const ready = new Set<LiveConnection>();
  const opening = new Set<Promise<void>>();
  const stopped = new AbortController();

  const drop = (connection: LiveConnection, sinceMs: number) => {
    ready.delete(connection);
    connection.close();
    if (now() - sinceMs >= shortLifeMs) fill();
  };

  const add = async () => {
    try {
      const connection = await open(stopped.signal);
      const sinceMs = now();
      ready.add(connection);
      connection.watch({ onUseless: () => drop(connection, sinceMs) });
    } catch (error) {
      // Nobody waits for it: whoever needs a connection opens one, and hears what is wrong.
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
