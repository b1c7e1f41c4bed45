import type { CancelReason } from "../core/async.ts";

/** Turns now and since the start. */
export type TurnStatistics = {
  /** In progress, and the most that ever were at once. */
  readonly active: number;
  readonly peak: number;
  /** Ages of those in progress, in seconds. 0 if there are none. */
  readonly oldestSeconds: number;
  readonly meanSeconds: number;
  /** Turns that were cut short, by the reason. */
  readonly cut: Readonly<Record<CancelReason, number>>;
  /** Turns that were interrupted after they had been sent, while they played. */
  readonly cutAfterSent: number;
};

/** Counts turns. `running` are those in progress; `now` reads the clock of their `startMs`. */
export function createTurnStatistics(
  running: ReadonlySet<{ readonly startMs: number }>,
  now: () => number,
) {
  const cut = { disconnected: 0, interrupted: 0, deadline: 0, shutdown: 0, revoked: 0 };
  let peak = 0;
  let cutAfterSent = 0;
  return {
    begin() {
      peak = Math.max(peak, running.size);
    },
    cut(reason: CancelReason) {
      cut[reason] += 1;
    },
    cutSent(turns: number) {
      cutAfterSent += turns;
    },
    read(): TurnStatistics {
      const ages = [...running].map(({ startMs }) => (now() - startMs) / 1000);
      const sum = ages.reduce((total, age) => total + age, 0);
      return {
        active: running.size,
        peak,
        oldestSeconds: tenths(Math.max(0, ...ages)),
        meanSeconds: tenths(sum / Math.max(1, ages.length)),
        cut: { ...cut },
        cutAfterSent,
      };
    },
  };
}

const tenths = (value: number) => Math.round(value * 10) / 10;
