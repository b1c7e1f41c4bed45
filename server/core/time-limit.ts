import { onAbort } from "./async.ts";

/** A signal that also fires after a time. */
export type TimeLimit = {
  readonly signal: AbortSignal;
  /** It fires no more. To be called when the work is done; the timer keeps no process alive. */
  clear(): void;
};

/**
 * Limits the time of what a signal is passed to: the limit's signal fires with the given one, or after
 * `timeoutMs` with the reason that `late` makes.
 *
 * It is no `AbortSignal.any`, which refers to its sources weakly. Nothing keeps an `AbortSignal.timeout`,
 * or a controller whose timer has fired: collected as garbage, they take it with them that time is up
 * (Node 20; Node 24 where nobody listens).
 */
export function limitTime(
  signal: AbortSignal,
  timeoutMs: number,
  late: () => Error = () => new Error("no answer in time"),
): TimeLimit {
  const controller = new AbortController();
  const end = (reason: unknown) => {
    clear();
    controller.abort(reason);
  };
  const timer = setTimeout(() => end(late()), timeoutMs).unref();
  let forget: () => void = () => undefined;
  const clear = () => {
    clearTimeout(timer);
    forget();
  };
  forget = onAbort(signal, end);
  return { signal: controller.signal, clear };
}
