import { Code, ConnectError } from "@connectrpc/connect";
import { type CancelReason, TurnCancelled } from "../core/async/abort.ts";
import { InvalidRequest, LimitExceeded, NoProviderLeft, ProviderError } from "../core/errors.ts";

/** Trailer that tells a client why its turn was cut short: one of `CancelReason`. */
export const REASON_TRAILER = "parley-reason";

// Interrupted is CANCELLED: ABORTED would invite clients to send the request again.
const cancelCodes: Record<CancelReason, Code> = {
  disconnected: Code.Canceled,
  interrupted: Code.Canceled,
  deadline: Code.DeadlineExceeded,
  shutdown: Code.Unavailable,
};

/** The status that a client gets for an error. What is not ours to explain is "internal error". */
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

/** True if the client, or somebody for it, asked for silence: then nothing more may be sent. */
export function wantsSilence(error: unknown): boolean {
  if (!(error instanceof TurnCancelled)) return false;
  return error.reason === "disconnected" || error.reason === "interrupted";
}
