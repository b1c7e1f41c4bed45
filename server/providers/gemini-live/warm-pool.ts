import { ProviderError } from "../../core/errors.ts";
import type { LiveConnection } from "./connection.ts";

/** Connections kept ready for new conversations. */
export type WarmPool = {
  /** Opens missing connections in the background. Does nothing after `stop`. */
  fill(): void;
  /** Takes a ready connection out of the pool; undefined if there is none. */
  take(): LiveConnection | undefined;
  /** Closes a ready connection, to make room for another. False if there is none. */
  giveUp(): boolean;
  /** Closes all connections, including those being opened. */
  stop(): Promise<void>;
};

/** Options of a warm pool. */
export type WarmPoolOptions = {
  readonly count: number;
  /** Whether the account may have one more connection. */
  readonly hasRoom: () => boolean;
  readonly open: (signal: AbortSignal) => Promise<LiveConnection>;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Called when a connection cannot be opened. */
  readonly onError?: ((error: unknown) => void) | undefined;
};

/** A connection that ended sooner is not replaced at once: the server may be down. */
const outageMs = 30_000;
/** After a refusal for their number no spare is opened for so long, unless the service says longer. */
const crowdedMs = 60_000;

/**
 * Keeps `count` connections ready, and replaces one that ends. One that cannot be opened, or ends too
 * soon, is replaced by the next `fill`, so that a server that is down is not hammered.
 */
export function createWarmPool(options: WarmPoolOptions): WarmPool {
  const { count, hasRoom, open, now, onError } = options;
  const ready = new Set<LiveConnection>();
  const opening = new Set<Promise<void>>();
  const stopped = new AbortController();
  const crowd = createCrowd(now);

  const isWanted = () =>
    !stopped.signal.aborted && !crowd.isThere() && ready.size + opening.size < count && hasRoom();

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
      if (stopped.signal.aborted) return;
      if (isRefusedForNumber(error)) crowd.begin(error.retryAfterMs);
      // Nobody waits for it: a turn opens its own connection, and gets the error.
      onError?.(error);
    }
  };

  const fill = () => {
    while (isWanted()) {
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
    giveUp() {
      crowd.begin();
      const [connection] = ready;
      connection?.close();
      return connection !== undefined && ready.delete(connection);
    },
    async stop() {
      stopped.abort(new Error("stopped"));
      await Promise.all(opening);
      for (const connection of ready) connection.close();
      ready.clear();
    },
  };
}

/** A time in which the service has no room for spares. */
function createCrowd(now: () => number) {
  let untilMs = Number.NEGATIVE_INFINITY;
  return {
    isThere: () => now() < untilMs,
    begin(waitMs = 0) {
      untilMs = now() + Math.max(crowdedMs, waitMs);
    },
  };
}

/** The account has as many connections as it may, or too many came at once. */
export function isRefusedForNumber(error: unknown): error is ProviderError {
  return error instanceof ProviderError && error.kind === "rate_limit";
}
