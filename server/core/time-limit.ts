/** A signal that also fires after a time. */
export type TimeLimit = {
  readonly signal: AbortSignal;
  /** The time runs no longer. Without it the timer ends by itself; it keeps no process alive. */
  clear(): void;
};

/**
 * Limits the time of what a signal is passed to: the limit's signal fires with the given one, or after
 * `timeoutMs` with the reason that `late` makes.
 *
 * `AbortSignal.any` of an `AbortSignal.timeout` would not do: nothing keeps that one, and once it is
 * collected as garbage neither fires (Node 20; Node 24 where nobody listens).
 */
export function limitTime(
  signal: AbortSignal,
  timeoutMs: number,
  late: () => Error = () => new Error("no answer in time"),
): TimeLimit {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(late()), timeoutMs).unref();
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    clear: () => clearTimeout(timer),
  };
}
