import { Code, ConnectError } from "@connectrpc/connect";
import { AnalysisError } from "../analysis/errors.ts";
import { AccessDenied, type AccessDeniedKind } from "../auth/caller.ts";
import { RedisError } from "../cluster/redis-errors.ts";
import { type CancelReason, TurnCancelled } from "../core/async.ts";
import {
  AlreadyExists,
  InvalidRequest,
  LimitExceeded,
  NoProviderLeft,
  NotFound,
  OutOfRange,
  ProviderError,
} from "../core/errors.ts";
import { BlobError } from "../storage/blobs/blob-store.ts";
import { StorageError } from "../storage/errors.ts";
import {
  badRequest,
  type ErrorDetail,
  errorInfo,
  limitDetails,
  retryInfo,
} from "./error-details.ts";

/**
 * Trailer with the reason for a cancelled turn: a `CancelReason`. Of a turn whose text is whole but for its
 * sound, `no_voice`, or `language` where no voice speaks it.
 */
export const REASON_TRAILER = "parley-reason";

// Interrupted is CANCELLED: clients retry ABORTED.
const cancelCodes: Record<CancelReason, Code> = {
  disconnected: Code.Canceled,
  interrupted: Code.Canceled,
  deadline: Code.DeadlineExceeded,
  shutdown: Code.Unavailable,
  revoked: Code.Unauthenticated,
};

const deniedCodes: Record<AccessDeniedKind, Code> = {
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  unavailable: Code.Unavailable,
};

/** When to come back after a stop: another instance, or the same one, takes requests by then. */
const SHUTDOWN_RETRY_MS = 1000;

/** A database or a Redis that is down is tried again every second. */
const STORAGE_RETRY_MS = 1000;

/**
 * The status for an error, with its details in `google.rpc`'s messages: ErrorInfo always, BadRequest
 * for a field, RetryInfo where it is known when to come back. Unknown errors become "internal error".
 */
export function toStatus(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof TurnCancelled) {
    const trailers = { [REASON_TRAILER]: error.reason };
    const retryMs = error.reason === "shutdown" ? SHUTDOWN_RETRY_MS : undefined;
    const details = detailsOf(error.reason.toUpperCase(), retryMs);
    return new ConnectError(error.message, cancelCodes[error.reason], trailers, details);
  }
  if (error instanceof AccessDenied) {
    const details = detailsOf(error.kind.toUpperCase());
    return new ConnectError(error.message, deniedCodes[error.kind], undefined, details);
  }
  if (error instanceof InvalidRequest) {
    const { field, message } = error;
    const violation = badRequest(field, message.slice(field.length).trim());
    const details = [violation, ...detailsOf("INVALID_FIELD")];
    return new ConnectError(message, Code.InvalidArgument, undefined, details);
  }
  if (error instanceof LimitExceeded) {
    const details = limitDetails(error.limit, error.retryAfterMs);
    return new ConnectError(error.message, Code.ResourceExhausted, undefined, details);
  }
  if (error instanceof NotFound) {
    return new ConnectError(error.message, Code.NotFound, undefined, detailsOf("NOT_FOUND"));
  }
  if (error instanceof AlreadyExists) {
    const details = detailsOf("TURN_EXISTS");
    return new ConnectError(error.message, Code.AlreadyExists, undefined, details);
  }
  if (error instanceof OutOfRange) {
    const details = detailsOf("OUT_OF_RANGE");
    return new ConnectError(error.message, Code.OutOfRange, undefined, details);
  }
  if (error instanceof NoProviderLeft || error instanceof ProviderError) {
    const details = detailsOf("NO_PROVIDER", retryOf(error));
    return new ConnectError(error.message, Code.Unavailable, missingVoice(error), details);
  }
  return partStatus(error);
}

/** The status for an error of a part that keeps or analyzes something. */
function partStatus(error: unknown): ConnectError {
  if (error instanceof AnalysisError) {
    const isUnavailable = error.kind === "unavailable" || error.kind === "worker";
    const code = isUnavailable ? Code.Unavailable : Code.InvalidArgument;
    const details = detailsOf(isUnavailable ? "NO_ANALYSIS" : "INVALID_FILE");
    return new ConnectError(error.message, code, undefined, details);
  }
  if (error instanceof StorageError || error instanceof BlobError) {
    const details = detailsOf("NO_STORAGE", STORAGE_RETRY_MS);
    return new ConnectError(error.message, Code.Unavailable, undefined, details);
  }
  if (error instanceof RedisError) {
    const details = detailsOf("NO_REDIS", STORAGE_RETRY_MS);
    return new ConnectError(error.message, Code.Unavailable, undefined, details);
  }
  return new ConnectError("internal error", Code.Internal, undefined, detailsOf("INTERNAL"));
}

/** Tells a client that shows text that the voice alone is missing. */
function missingVoice(error: NoProviderLeft | ProviderError): Record<string, string> | undefined {
  if (!(error instanceof NoProviderLeft) || error.kind !== "speech") return undefined;
  return { [REASON_TRAILER]: error.isOfLanguage ? "language" : "no_voice" };
}

function detailsOf(reason: string, retryMs?: number): ErrorDetail[] {
  return [errorInfo(reason), ...(retryMs === undefined ? [] : [retryInfo(retryMs)])];
}

/** The soonest time that a provider named. */
function retryOf(error: NoProviderLeft | ProviderError): number | undefined {
  const causes = error instanceof NoProviderLeft ? error.causes : [error];
  const known = causes.flatMap(({ retryAfterMs }) => retryAfterMs ?? []);
  return known.length > 0 ? Math.min(...known) : undefined;
}

/** Answers a unary call, or throws the status of its error. */
export async function answer<Answer>(call: () => Answer | Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    throw toStatus(error);
  }
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
