import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { onAbort } from "../core/async.ts";
import { toStatus } from "./status.ts";

/** Where a call's context holds its connection. */
export const connectionKey = createContextKey<object>({}, { description: "connection" });

/** Counts a stream of a connection until the returned function is called. Throws `LimitExceeded`. */
export type HoldStream = (connection: object) => () => void;

/**
 * Counts a call as a stream until it ends. Bound to the signal: a stream that waits in a write to a
 * disconnected client reaches no `finally`. Throws the status of a limit.
 */
export function holdStream(
  { signal, values }: Pick<HandlerContext, "signal" | "values">,
  hold: HoldStream,
): void {
  try {
    onAbort(signal, hold(values.get(connectionKey)));
  } catch (error) {
    throw toStatus(error);
  }
}
