import { TurnCancelled } from "../core/async/abort.ts";
import { InvalidRequest, LimitExceeded, NoProviderLeft, ProviderError } from "../core/errors.ts";

/** An error as an HTTP client reads it. The codes are those of Connect, so both speak alike. */
export type Problem = {
  readonly status: 400 | 404 | 405 | 413 | 415 | 429 | 499 | 500 | 503 | 504;
  readonly body: {
    readonly error: { readonly code: string; readonly message: string; readonly field?: string };
  };
};

/** Puts an error's parts together. */
export function problem(
  status: Problem["status"],
  code: string,
  message: string,
  field?: string,
): Problem {
  return { status, body: { error: { code, message, ...(field !== undefined && { field }) } } };
}

/** The answer that bears an error. */
export function problemResponse(
  { status, body }: Problem,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json(body, { status, headers });
}

/** What an HTTP client gets for an error. What is not ours to explain is "internal error". */
export function toProblem(error: unknown): Problem {
  if (error instanceof InvalidRequest) {
    return problem(400, "invalid_argument", error.message, error.field);
  }
  if (error instanceof LimitExceeded) return problem(429, "resource_exhausted", error.message);
  if (error instanceof NoProviderLeft || error instanceof ProviderError) {
    return problem(503, "unavailable", error.message);
  }
  if (error instanceof TurnCancelled) return cancelProblem(error);
  return problem(500, "internal", "internal error");
}

function cancelProblem(error: TurnCancelled): Problem {
  if (error.reason === "deadline") return problem(504, "deadline_exceeded", error.message);
  if (error.reason === "shutdown") return problem(503, "unavailable", error.message);
  return problem(499, "canceled", error.message);
}
