import { AnalysisError, type AnalysisErrorKind } from "../analysis/errors.ts";
import { AccessDenied, type AccessDeniedKind } from "../auth/caller.ts";
import { TurnCancelled } from "../core/async.ts";
import {
  AlreadyExists,
  InvalidRequest,
  LimitExceeded,
  type LimitName,
  NoProviderLeft,
  NotFound,
  ProviderError,
} from "../core/errors.ts";
import { BlobError } from "../storage/blobs/blob-store.ts";
import { StorageError } from "../storage/errors.ts";

/** An error for HTTP clients. It uses Connect's codes. */
export type Problem = {
  readonly status:
    | 400
    | 401
    | 403
    | 404
    | 405
    | 409
    | 413
    | 415
    | 416
    | 429
    | 499
    | 500
    | 503
    | 504;
  /** When the same request may pass, if that is known: the header `retry-after`. */
  readonly retryAfterMs?: number | undefined;
  readonly body: {
    readonly error: {
      readonly code: string;
      readonly message: string;
      readonly field?: string;
      /** Which limit was reached. */
      readonly limit?: LimitName;
    };
  };
};

/** Creates a problem. */
export function problem(
  status: Problem["status"],
  code: string,
  message: string,
  field?: string,
): Problem {
  return { status, body: { error: { code, message, ...(field !== undefined && { field }) } } };
}

/** The response for a problem. */
export function problemResponse(
  { status, body, retryAfterMs }: Problem,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json(body, { status, headers: { ...headers, ...retryHeaders(retryAfterMs) } });
}

/** The header that says when to come again, if that is known. */
export function retryHeaders(retryAfterMs: number | undefined): Record<string, string> {
  return retryAfterMs ? { "retry-after": String(Math.ceil(retryAfterMs / 1000)) } : {};
}

/** The HTTP status for each kind of refused access. */
export const deniedStatuses = {
  unauthenticated: 401,
  permission_denied: 403,
  unavailable: 503,
} as const satisfies Record<AccessDeniedKind, number>;

/** The HTTP status and the code for each reason that a file has no result. */
const analysisStatuses = {
  invalid: [400, "invalid_argument"],
  unsupported: [415, "invalid_argument"],
  too_large: [413, "resource_exhausted"],
  unavailable: [503, "unavailable"],
  worker: [503, "unavailable"],
} as const satisfies Record<AnalysisErrorKind, readonly [Problem["status"], string]>;

/** The problem for an error. Unknown errors become "internal error". */
export function toProblem(error: unknown): Problem {
  if (error instanceof InvalidRequest) {
    return problem(400, "invalid_argument", error.message, error.field);
  }
  if (error instanceof AccessDenied) {
    return problem(deniedStatuses[error.kind], error.kind, error.message);
  }
  if (error instanceof LimitExceeded) {
    const { message, limit, retryAfterMs } = error;
    const body = { error: { code: "resource_exhausted", message, limit } };
    return { status: 429, body, retryAfterMs };
  }
  if (error instanceof NotFound) return problem(404, "not_found", error.message);
  if (error instanceof AlreadyExists) return problem(409, "already_exists", error.message);
  if (error instanceof AnalysisError) {
    const [status, code] = analysisStatuses[error.kind];
    return problem(status, code, error.message);
  }
  const isOfStore = error instanceof StorageError || error instanceof BlobError;
  if (error instanceof NoProviderLeft || error instanceof ProviderError || isOfStore) {
    return problem(503, "unavailable", error.message);
  }
  if (error instanceof TurnCancelled) return cancelProblem(error);
  return problem(500, "internal", "internal error");
}

function cancelProblem(error: TurnCancelled): Problem {
  if (error.reason === "deadline") return problem(504, "deadline_exceeded", error.message);
  if (error.reason === "revoked") return problem(401, "unauthenticated", error.message);
  if (error.reason === "shutdown") return problem(503, "unavailable", error.message);
  return problem(499, "canceled", error.message);
}
