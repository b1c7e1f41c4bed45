import { ProviderError, type ProviderErrorKind } from "../../core/errors.ts";

/** An answer over HTTP that is a failure. */
export type HttpFailure = {
  readonly status: number;
  /** The header of that name: seconds, or a date. */
  readonly retryAfter?: string | null | undefined;
  /** The vendor's JSON, or whatever stood in its way. */
  readonly body?: string;
};

/** How a Live connection ended. */
export type SocketEnd =
  | { readonly kind: "http"; readonly failure: HttpFailure }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "broken"; readonly code: string | undefined }
  | { readonly kind: "unreadable" };

const faultsByStatus: Readonly<Record<number, ProviderErrorKind>> = {
  400: "invalid_request",
  401: "authentication",
  403: "authorization",
  // No such model, or not for this key: a setting to mend, not the user's request.
  404: "authorization",
  413: "invalid_request",
  429: "rate_limit",
};

const messages: Partial<Record<ProviderErrorKind, string>> = {
  authentication: "the API key is not accepted",
  authorization: "the key may not use this model or service here",
  invalid_request: "the request was refused",
  rate_limit: "too many requests",
  quota: "the account has nothing left to spend",
};

/** The error of an HTTP answer. Nothing of its text goes into the message: it may quote the prompt. */
export function httpFault(provider: string, failure: HttpFailure): ProviderError {
  const details = readDetails(failure.body ?? "");
  const fault = classify(failure, details);
  const retryAfterMs = delayOf(failure.retryAfter, details.retryDelay);
  const message = `${messages[fault] ?? "the service failed"} (HTTP ${failure.status})`;
  return new ProviderError(
    provider,
    fault,
    message,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

/** The error of a Live connection that ended; `ready` if it had been set up. */
export function socketFault(provider: string, end: SocketEnd, ready: boolean): ProviderError {
  switch (end.kind) {
    case "http":
      // Nothing of the user's was in a handshake: what it refuses is the gateway's setting.
      return httpFault(provider, {
        ...end.failure,
        status: end.failure.status === 400 ? 403 : end.failure.status,
      });
    case "broken":
      return unreachable(provider, end.code);
    case "unreadable":
      return unreadable(provider);
    case "closed": {
      const fault = faultOfClose(end, ready);
      return new ProviderError(
        provider,
        fault,
        `${messages[fault] ?? "the connection was closed"} (${end.code})`,
      );
    }
  }
}

/** The error of a service that cannot be reached, or that the connection to was lost. */
function unreachable(provider: string, code: string | undefined): ProviderError {
  return new ProviderError(provider, "connectivity", `no connection${code ? ` (${code})` : ""}`);
}

/** The error of an answer that nobody can read. */
export function unreadable(provider: string): ProviderError {
  return new ProviderError(provider, "protocol", "the answer cannot be read");
}

/**
 * The error of what was thrown while an answer was read. Vendors' messages quote what they could
 * not read, so none of them is kept, neither as message nor as cause.
 */
export function thrownFault(provider: string, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  if (!(error instanceof Error))
    return new ProviderError(provider, "server", "failed unexpectedly");
  const code = systemCode(error);
  if (code !== undefined || /^(fetch failed|terminated)$/.test(error.message)) {
    return unreachable(provider, code);
  }
  const parsing = error instanceof SyntaxError || /incomplete json|parsing/i.test(error.message);
  return parsing
    ? unreadable(provider)
    : new ProviderError(provider, "server", "failed unexpectedly");
}

function systemCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string") return at.code;
  }
  return undefined;
}

function faultOfClose(
  { code, reason }: { code: number; reason: string },
  ready: boolean,
): ProviderErrorKind {
  if (/api.?key|credential|authenticat/i.test(reason)) return "authentication";
  if (/billing|credit/i.test(reason)) return "quota";
  if (/exhausted|quota|rate.?limit|too many/i.test(reason)) return "rate_limit";
  if (code === 1006 || code === 1001 || code === 1005) return "connectivity";
  if (code === 1007) return ready ? "invalid_request" : "authorization";
  if (code === 1008) return "authorization";
  return "server";
}

type Details = {
  readonly reasons: readonly string[];
  readonly quotas: readonly string[];
  readonly status: string;
  readonly message: string;
  readonly retryDelay: string | undefined;
};

function classify({ status, retryAfter }: HttpFailure, details: Details): ProviderErrorKind {
  if (details.reasons.some((reason) => reason.startsWith("API_KEY_"))) return "authentication";
  if (details.status === "FAILED_PRECONDITION") return "authorization";
  if (status !== 429) return faultsByStatus[status] ?? "server";
  if (details.quotas.length > 0) {
    return details.quotas.some((id) => /PerDay/i.test(id)) ? "quota" : "rate_limit";
  }
  const passing = retryAfter || details.retryDelay;
  return !passing && /quota|billing|credit/i.test(details.message) ? "quota" : "rate_limit";
}

/** Reads the vendor's error object; of anything else nothing is known. */
function readDetails(body: string): Details {
  const error = field(parse(body), "error");
  const details = field(error, "details");
  const all = (name: string) =>
    (Array.isArray(details) ? details : []).map((detail) => field(detail, name));
  const violations = all("violations").flatMap((list) => (Array.isArray(list) ? list : []));
  return {
    reasons: all("reason").filter(isText),
    quotas: violations.map((violation) => field(violation, "quotaId")).filter(isText),
    status: textOf(field(error, "status")),
    message: textOf(field(error, "message")),
    retryDelay: all("retryDelay").find(isText),
  };
}

function delayOf(
  header: string | null | undefined,
  retryDelay: string | undefined,
): number | undefined {
  if (header) {
    const seconds = Number(header);
    const delayMs = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000;
    if (Number.isFinite(delayMs)) return Math.max(0, delayMs);
  }
  const seconds = Number.parseFloat(retryDelay ?? "");
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : undefined;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<string, unknown>)[name];
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function textOf(value: unknown): string {
  return isText(value) ? value : "";
}

/** Whether a connection, or who was behind it, went away: another one may do. */
export function isLost(error: unknown): boolean {
  if (!(error instanceof ProviderError)) return false;
  return error.kind === "connectivity" || error.kind === "server";
}

/** Whether the server was there and said no: to the handle, it may be. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof ProviderError)) return false;
  return error.kind === "authorization" || error.kind === "server";
}
