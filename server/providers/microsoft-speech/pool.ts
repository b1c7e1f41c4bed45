import { onAbort, throwIfAborted } from "../../core/async.ts";

/** A connection in a pool. It may end at any time. */
export type PooledConnection = {
  readonly opened: Promise<void>;
  readonly ended: Promise<unknown>;
  isOpen(): boolean;
  close(): void;
};

/** Options of a pool. */
export type ConnectionPoolOptions<Connection> = {
  /** Begins to connect. */
  readonly open: () => Connection;
  /** Connections kept ready, in addition to those in use. */
  readonly warmConnections: number;
  /** Maximum number of idle connections. At least `warmConnections`. */
  readonly maxIdle: number;
  /** Called when a warm connection cannot be opened. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly nowMs?: () => number;
};

/** A pool of connections. */
export type ConnectionPool<Connection> = {
  /** Opens the missing warm connections. */
  fill(): void;
  /**
   * Takes a connection: an idle one if there is one (`isNew` is false), else a new one that is still
   * connecting. `mustBeNew` skips the idle ones.
   */
  take(mustBeNew?: boolean): { readonly connection: Connection; readonly isNew: boolean };
  /**
   * Opens a connection for each preparation whose signal has not fired, up to `maxIdle`, in addition
   * to the warm ones. Resolves when one is connected; rejects if none can be. A connection opened
   * for a signal is closed when the signal fires, unless it was taken.
   */
  prepare(signal: AbortSignal): Promise<void>;
  /** Gives back a connection that can be reused. */
  give(connection: Connection): void;
  /** Closes idle connections, and from now on those given back. */
  stop(): void;
};

/** A connection that lasted this long ended for its idleness, not in an outage. */
const outageMs = 30_000;

/**
 * Creates a pool. It has no timers: it opens warm connections when one is taken and its service
 * answers, and when one ends that lasted long enough. So it does not hammer a service that is down.
 */
export function createConnectionPool<Connection extends PooledConnection>(
  options: ConnectionPoolOptions<Connection>,
): ConnectionPool<Connection> {
  const { warmConnections, maxIdle, onError, nowMs = () => performance.now() } = options;
  const idle: Connection[] = [];
  const preparations = new Set<AbortSignal>();
  let isStopped = false;

  const open = (): Connection => {
    const connection = options.open();
    const openedMs = nowMs();
    connection.opened.catch(() => undefined);
    connection.ended.then(() => {
      const at = idle.indexOf(connection);
      if (at === -1) return;
      idle.splice(at, 1);
      if (nowMs() - openedMs >= outageMs) fill();
    });
    return connection;
  };
  const fill = () => {
    while (!isStopped && idle.length < warmConnections) {
      const connection = open();
      idle.push(connection);
      connection.opened.catch((error) => {
        if (!isStopped) onError?.(error);
      });
    }
  };
  const openFor = (signal: AbortSignal) => {
    const connection = open();
    idle.push(connection);
    const removeListener = onAbort(signal, () => {
      if (idle.includes(connection)) connection.close();
    });
    connection.ended.then(removeListener);
  };
  const takeIdle = (): Connection | undefined => {
    const ready = idle.findLastIndex((connection) => connection.isOpen());
    return idle.splice(ready === -1 ? 0 : ready, 1)[0];
  };
  return {
    fill,
    take(mustBeNew = false) {
      const reused = mustBeNew ? undefined : takeIdle();
      const connection = reused ?? open();
      connection.opened.then(fill, () => undefined);
      return { connection, isNew: reused === undefined };
    },
    async prepare(signal) {
      throwIfAborted(signal);
      fill();
      preparations.add(signal);
      onAbort(signal, () => preparations.delete(signal));
      if (!isStopped && idle.length < Math.min(preparations.size, maxIdle)) openFor(signal);
      await Promise.any(idle.map(({ opened }) => opened));
    },
    give(connection) {
      if (isStopped || !connection.isOpen() || idle.length >= maxIdle) connection.close();
      else idle.push(connection);
    },
    stop() {
      isStopped = true;
      for (const connection of idle.splice(0)) connection.close();
    },
  };
}
