/**
 * Counts a turn's time. While its client reads what was sent it stands still, for up to one and a half
 * times as long as that sound plays: a client at playback speed hears any reply to its end, and one that
 * takes a byte now and then does not hold the turn.
 */
export type TurnClock = {
  /** Milliseconds in all. */
  readonly maxMs: number;
  /** Milliseconds that are left, 0 or more. */
  leftMs(): number;
  /** The client gets sound that plays for so long, and reads until `resume`. */
  pause(playMs: number): void;
  resume(): void;
};

/** Starts the clock of a turn. Calls `onDue` when its time is up. */
export function startClock(maxMs: number, onDue: () => void): TurnClock & { stopClock(): void } {
  const startMs = performance.now();
  let creditMs = 0;
  let readingMs = 0;
  let pausedMs: number | undefined;
  const read = () => {
    const now = pausedMs === undefined ? 0 : performance.now() - pausedMs;
    return Math.min(readingMs + now, creditMs);
  };
  const leftMs = () => Math.max(0, maxMs - (performance.now() - startMs - read()));
  const check = () => {
    const restMs = leftMs();
    if (restMs < 1) onDue();
    else timer = setTimeout(check, Math.ceil(restMs));
  };
  let timer = setTimeout(check, maxMs);
  return {
    maxMs,
    leftMs,
    pause(playMs) {
      creditMs += 1.5 * playMs;
      pausedMs = performance.now();
    },
    resume() {
      readingMs = read();
      pausedMs = undefined;
    },
    stopClock: () => clearTimeout(timer),
  };
}
