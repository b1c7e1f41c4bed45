/**
 * Why a turn was cut short.
 * - `disconnected`: the client cancelled its call, disconnected, or stopped reading.
 * - `interrupted`: the device was interrupted.
 * - `deadline`: the turn took longer than it may.
 * - `shutdown`: the gateway is stopping.
 */
export type CancelReason = "disconnected" | "interrupted" | "deadline" | "shutdown";

const messages: Record<CancelReason, string> = {
  disconnected: "the client left",
  interrupted: "the turn was interrupted",
  deadline: "the turn took longer than it may",
  shutdown: "the gateway is stopping",
};

/** The reason of a turn's signal. A cancel is never a provider's failure. */
export class TurnCancelled extends Error {
  override readonly name = "TurnCancelled";
  readonly reason: CancelReason;

  constructor(reason: CancelReason) {
    super(messages[reason]);
    this.reason = reason;
  }
}

/** Throws the signal's own reason if it has fired. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw signal.reason;
}

/**
 * Calls `listener` once when the signal fires, at once if it has fired already.
 * Returns a function that takes the listener away; call it when the work is over, or the signal
 * keeps what the listener refers to alive.
 */
export function onAbort(signal: AbortSignal, listener: (reason: unknown) => void): () => void {
  if (signal.aborted) {
    listener(signal.reason);
    return () => undefined;
  }
  const run = () => listener(signal.reason);
  signal.addEventListener("abort", run, { once: true });
  return () => signal.removeEventListener("abort", run);
}

/**
 * Waits for the promise, or rejects with the signal's reason as soon as it fires. The promise's own
 * work goes on: pass the signal to it as well. A rejection after the signal fired is swallowed.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const fired = Promise.withResolvers<never>();
  const dispose = onAbort(signal, fired.reject);
  promise.catch(() => undefined);
  fired.promise.catch(() => undefined);
  try {
    return await Promise.race([promise, fired.promise]);
  } finally {
    dispose();
  }
}
