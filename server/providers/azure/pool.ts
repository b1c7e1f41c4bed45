import { onAbort, throwIfAborted } from "../../core/async/abort.ts";

/** A connection that a pool keeps: it may end at any time. */
export type PooledLine = {
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
  readonly spares: number;
  /** Connections that are kept for reuse at most. At least `spares`. */
  readonly mostIdle: number;
  /** Told of a spare that could not be connected. */
  readonly onFault?: ((error: unknown) => void) | undefined;
  /** Milliseconds of a clock that only goes forward. */
  readonly nowMs?: () => number;
};

/** Connections that are ready for use. */
export type AzurePool<Line> = {
  /** Connects the spares. */
  fill(): void;
  /** Lends a line: a spare if there is one (`isNew` is false), else a new one, still connecting. */
  take(isNewWanted?: boolean): { readonly line: Line; readonly isNew: boolean };
  /**
   * Has a line ready for each preparation whose signal has not fired, as far as there is room, and
   * the spares beside. Resolves when one is connected; rejects if none can be. A line that was opened
   * for a signal is closed when it fires, unless somebody has taken it.
   */
  prepare(signal: AbortSignal): Promise<void>;
  /** Takes back a line that can be used again. */
  give(line: Line): void;
  /** Closes what is idle, and from now on what comes back. */
  stop(): void;
};

/** A spare that lasted this long was closed for its idleness, not by an outage. */
const steadyMs = 30_000;

/**
 * Makes a pool. It has no timers: spares are opened when one is taken and its service answers, and
 * when one ends that had lasted. So nothing keeps knocking at a service that is down.
 */
export function createAzurePool<Line extends PooledLine>(
  options: AzurePoolOptions<Line>,
): AzurePool<Line> {
  const { spares, mostIdle, onFault, nowMs = () => performance.now() } = options;
  const idle: Line[] = [];
  const wants = new Set<AbortSignal>();
  let isStopped = false;

  const open = (): Line => {
    const line = options.open();
    const openedMs = nowMs();
    line.opened.catch(() => undefined);
    line.ended.then(() => {
      const at = idle.indexOf(line);
      if (at === -1) return;
      idle.splice(at, 1);
      if (nowMs() - openedMs >= steadyMs) fill();
    });
    return line;
  };
  const fill = () => {
    while (!isStopped && idle.length < spares) {
      const line = open();
      idle.push(line);
      line.opened.catch((error) => {
        if (!isStopped) onFault?.(error);
      });
    }
  };
  const openFor = (signal: AbortSignal) => {
    const line = open();
    idle.push(line);
    const forget = onAbort(signal, () => {
      if (idle.includes(line)) line.close();
    });
    line.ended.then(forget);
  };
  const takeIdle = (): Line | undefined => {
    const ready = idle.findLastIndex((line) => line.isOpen());
    return idle.splice(ready === -1 ? 0 : ready, 1)[0];
  };
  return {
    fill,
    take(isNewWanted = false) {
      const spare = isNewWanted ? undefined : takeIdle();
      const line = spare ?? open();
      line.opened.then(fill, () => undefined);
      return { line, isNew: spare === undefined };
    },
    async prepare(signal) {
      throwIfAborted(signal);
      fill();
      wants.add(signal);
      onAbort(signal, () => wants.delete(signal));
      if (!isStopped && idle.length < Math.min(wants.size, mostIdle)) openFor(signal);
      await Promise.any(idle.map(({ opened }) => opened));
    },
    give(line) {
      if (isStopped || !line.isOpen() || idle.length >= mostIdle) line.close();
      else idle.push(line);
    },
    stop() {
      isStopped = true;
      for (const line of idle.splice(0)) line.close();
    },
  };
}
