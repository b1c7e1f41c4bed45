import { Code, ConnectError } from "@connectrpc/connect";
import { type CancelReason, TurnCancelled } from "../core/async.ts";
import { InvalidRequest, LimitExceeded, NoProviderLeft, ProviderError } from "../core/errors.ts";

/** Trailer with the reason for a cancelled turn: a `CancelReason`. */
export const REASON_TRAILER = "parley-reason";

// Interrupted is CANCELLED: clients retry ABORTED.
const cancelCodes: Record<CancelReason, Code> = {
  disconnected: Code.Canceled,
  interrupted: Code.Canceled,
  deadline: Code.DeadlineExceeded,
  shutdown: Code.Unavailable,
};

/** The status for an error. Unknown errors become "internal error". */
export function toStatus(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof TurnCancelled) {
    return new ConnectError(error.message, cancelCodes[error.reason], {
      [REASON_TRAILER]: error.reason,
    });
  }
  if (error instanceof InvalidRequest) return new ConnectError(error.message, Code.InvalidArgument);
  if (error instanceof LimitExceeded)
    return new ConnectError(error.message, Code.ResourceExhausted);
  if (error instanceof NoProviderLeft || error instanceof ProviderError) {
    return new ConnectError(error.message, Code.Unavailable);
  }
  return new ConnectError("internal error", Code.Internal);
}

/** Whether the turn was interrupted or its client disconnected: then nothing more is sent. */
export function endsSilently(error: unknown): boolean {
  if (!(error instanceof TurnCancelled)) return false;
  return error.reason === "disconnected" || error.reason === "interrupted";
}

/** The client's own deadline or reset says more than "the client disconnected". */
export function clientStatus(signal: AbortSignal): ConnectError | undefined {
  return signal.reason instanceof ConnectError ? signal.reason : undefined;
}
