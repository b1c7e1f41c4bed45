import { onAbort, throwIfAborted } from "../../core/async/abort.ts";

/** A connection that a pool keeps: it may end at any time. */
export type PooledConnection = {
  readonly opened: Promise<void>;
  readonly ended: Promise<unknown>;
  isOpen(): boolean;
  close(): void;
};

/** What a pool is created with. */
export type AzurePoolOptions<Line> = {
  /** Begins to connect. */
  readonly open: () => Line;
  /** Connections that are kept ready beyond those in use. */
  readonly warmConnections: number;
  /** Connections that are kept for reuse at most. At least `warmConnections`. */
  readonly mostIdle: number;
  /** Told of a spare that could not be connected. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Milliseconds of a clock that only goes forward. */
  readonly nowMs?: () => number;
};

/** Connections that are ready for use. */
export type AzurePool<Line> = {
  /** Connects the warmConnections. */
  fill(): void;
  /** Lends a connection: a spare if there is one (`isNew` is false), else a new one, still connecting. */
  take(isNewWanted?: boolean): { readonly connection: Line; readonly isNew: boolean };
  /**
   * Has a connection ready for each preparation whose signal has not fired, as far as there is room, and
   * the warmConnections beside. Resolves when one is connected; rejects if none can be. A connection that was opened
   * for a signal is closed when it fires, unless somebody has taken it.
   */
  prepare(signal: AbortSignal): Promise<void>;
  /** Takes back a connection that can be used again. */
  give(connection: Line): void;
  /** Closes what is idle, and from now on what comes back. */
  stop(): void;
};

/** A spare that lasted this long was closed for its idleness, not by an outage. */
const steadyMs = 30_000;

/**
 * Makes a pool. It has no timers: warmConnections are opened when one is taken and its service answers, and
 * when one ends that had lasted. So nothing keeps knocking at a service that is down.
 */
export function createAzurePool<Line extends PooledConnection>(
  options: AzurePoolOptions<Line>,
): AzurePool<Line> {
  const { warmConnections, mostIdle, onError, nowMs = () => performance.now() } = options;
  const idle: Line[] = [];
  const wants = new Set<AbortSignal>();
  let isStopped = false;

  const open = (): Line => {
    const connection = options.open();
    const openedMs = nowMs();
    connection.opened.catch(() => undefined);
    connection.ended.then(() => {
      const at = idle.indexOf(connection);
      if (at === -1) return;
      idle.splice(at, 1);
      if (nowMs() - openedMs >= steadyMs) fill();
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
    const forget = onAbort(signal, () => {
      if (idle.includes(connection)) connection.close();
    });
    connection.ended.then(forget);
  };
  const takeIdle = (): Line | undefined => {
    const ready = idle.findLastIndex((connection) => connection.isOpen());
    return idle.splice(ready === -1 ? 0 : ready, 1)[0];
  };
  return {
    fill,
    take(isNewWanted = false) {
      const spare = isNewWanted ? undefined : takeIdle();
      const connection = spare ?? open();
      connection.opened.then(fill, () => undefined);
      return { connection, isNew: spare === undefined };
    },
    async prepare(signal) {
      throwIfAborted(signal);
      fill();
      wants.add(signal);
      onAbort(signal, () => wants.delete(signal));
      if (!isStopped && idle.length < Math.min(wants.size, mostIdle)) openFor(signal);
      await Promise.any(idle.map(({ opened }) => opened));
    },
    give(connection) {
      if (isStopped || !connection.isOpen() || idle.length >= mostIdle) connection.close();
      else idle.push(connection);
    },
    stop() {
      isStopped = true;
      for (const connection of idle.splice(0)) connection.close();
    },
  };
}
