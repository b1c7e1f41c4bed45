import { TurnCancelled } from "../../core/async.ts";
import { InvalidRequest, LimitExceeded, NoProviderLeft, ProviderError } from "../../core/errors.ts";

/** An error in OpenAI's shape. */
export type OpenaiError = {
  readonly message: string;
  readonly type: "invalid_request_error" | "rate_limit_error" | "server_error";
  /** The field that is wrong. */
  readonly param: string | null;
  readonly code: string | null;
};

/** The status of an error's response. */
type OpenaiStatus = 400 | 404 | 413 | 415 | 426 | 429 | 499 | 500 | 503 | 504;

/** An error that has its own status and code. */
export class OpenaiProblem extends Error {
  override readonly name = "OpenaiProblem";
  readonly status: OpenaiStatus;
  readonly code: string;
  readonly param: string | null;

  constructor(status: OpenaiStatus, code: string, message: string, param: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }
}

/** A field's value is not one that the gateway takes. `rule` follows the field's name. */
export function invalidField(param: string, rule: string, code = "invalid_value"): OpenaiProblem {
  return new OpenaiProblem(400, code, `${param} ${rule}`, param);
}

/** The error as OpenAI's clients read it, and its status. Unknown errors become "internal error". */
export function toOpenaiError(error: unknown): { status: OpenaiStatus; error: OpenaiError } {
  if (error instanceof OpenaiProblem) {
    const { message, param, code } = error;
    return { status: error.status, error: { message, type: "invalid_request_error", param, code } };
  }
  if (error instanceof InvalidRequest) {
    const { message, field: param } = error;
    const type = "invalid_request_error";
    return { status: 400, error: { message, type, param, code: "invalid_value" } };
  }
  if (error instanceof LimitExceeded) {
    const { message } = error;
    const code = "rate_limit_exceeded";
    return { status: 429, error: { message, type: "rate_limit_error", param: null, code } };
  }
  return serverError(error);
}

function serverError(error: unknown): { status: OpenaiStatus; error: OpenaiError } {
  const [status, code, message] = serverProblem(error);
  return { status, error: { message, type: "server_error", param: null, code } };
}

function serverProblem(error: unknown): readonly [OpenaiStatus, string, string] {
  if (error instanceof NoProviderLeft || error instanceof ProviderError) {
    return [503, "service_unavailable", error.message];
  }
  if (!(error instanceof TurnCancelled)) return [500, "internal_error", "internal error"];
  if (error.reason === "deadline") return [504, "timeout", error.message];
  if (error.reason === "shutdown") return [503, "service_unavailable", error.message];
  return [499, "cancelled", error.message];
}

/** The response for an error. */
export function errorResponse(error: unknown): Response {
  const { status, error: body } = toOpenaiError(error);
  const headers: Record<string, string> = { "cache-control": "no-store" };
  // The clients wait so long before they try again.
  if (error instanceof LimitExceeded) {
    headers["retry-after"] = String(Math.ceil(error.retryAfterMs / 1000));
  }
  return Response.json({ error: body }, { status, headers });
}
