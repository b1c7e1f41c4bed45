import { ProviderError } from "../../core/errors.ts";
import type { ProviderErrorKind } from "../../core/outcomes.ts";

/** An HTTP error response. */
export type HttpFailure = {
  readonly status: number;
  /** The `Retry-After` header: seconds or a date. */
  readonly retryAfter?: string | null | undefined;
  /** The vendor's JSON, or a proxy's page. */
  readonly body?: string;
};

/** How a Live connection ended. */
export type SocketEnd =
  | { readonly kind: "http"; readonly failure: HttpFailure }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "broken"; readonly code: string | undefined }
  | { readonly kind: "unreadable" };

const kindsByStatus: Readonly<Record<number, ProviderErrorKind>> = {
  400: "refused",
  401: "authentication",
  403: "authorization",
  // The model is unknown, or not available to this key: the settings are wrong, not the request.
  404: "authorization",
  413: "refused",
  429: "rate_limit",
};

const messages: Partial<Record<ProviderErrorKind, string>> = {
  authentication: "the API key is not valid",
  authorization: "the key has no access to this model or service",
  refused: "the request was refused",
  rate_limit: "too many requests",
  quota: "the account has no credit left",
};

/** The error for an HTTP response. Quotes nothing of its body, which may repeat the prompt. */
export function httpError(provider: string, failure: HttpFailure): ProviderError {
  const details = readDetails(failure.body ?? "");
  const kind = kindOfFailure(failure, details);
  const retryAfterMs = delayOf(failure.retryAfter, details.retryDelay);
  const message = `${messages[kind] ?? "the service failed"} (HTTP ${failure.status})`;
  return new ProviderError(
    provider,
    kind,
    message,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

/** The error for the end of a Live connection. `ready` is true after its setup. */
export function socketError(provider: string, end: SocketEnd, ready: boolean): ProviderError {
  switch (end.kind) {
    case "http":
      // A handshake carries nothing of the user's, so a 400 is about the settings.
      return httpError(provider, {
        ...end.failure,
        status: end.failure.status === 400 ? 403 : end.failure.status,
      });
    case "broken":
      return unreachable(provider, end.code);
    case "unreadable":
      return unreadable(provider);
    case "closed": {
      const kind = kindOfClose(end, ready);
      return new ProviderError(
        provider,
        kind,
        `${messages[kind] ?? "the connection was closed"} (${end.code})`,
      );
    }
  }
}

/** The error for a service that cannot be reached, or whose connection was lost. */
function unreachable(provider: string, code: string | undefined): ProviderError {
  return new ProviderError(provider, "connectivity", `no connection${code ? ` (${code})` : ""}`);
}

/** The error for a malformed response. */
export function unreadable(provider: string): ProviderError {
  return new ProviderError(provider, "protocol", "the response cannot be read");
}

/**
 * Converts an error that was thrown while a response was read. Vendors' messages quote what they
 * could not parse, so they are kept neither as the message nor as the cause.
 */
export function thrownError(provider: string, error: unknown): ProviderError {
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

function kindOfClose(
  { code, reason }: { code: number; reason: string },
  ready: boolean,
): ProviderErrorKind {
  if (/api.?key|credential|authenticat/i.test(reason)) return "authentication";
  if (/billing|credit/i.test(reason)) return "quota";
  if (/exhausted|quota|rate.?limit|too many/i.test(reason)) return "rate_limit";
  if (code === 1006 || code === 1001 || code === 1005) return "connectivity";
  if (code === 1007) return ready ? "refused" : "authorization";
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

function kindOfFailure({ status, retryAfter }: HttpFailure, details: Details): ProviderErrorKind {
  if (details.reasons.some((reason) => reason.startsWith("API_KEY_"))) return "authentication";
  if (details.status === "FAILED_PRECONDITION") return "authorization";
  if (status !== 429) return kindsByStatus[status] ?? "server";
  if (details.quotas.length > 0) {
    return details.quotas.some((id) => /PerDay/i.test(id)) ? "quota" : "rate_limit";
  }
  const passing = retryAfter || details.retryDelay;
  return !passing && /quota|billing|credit/i.test(details.message) ? "quota" : "rate_limit";
}

/** Reads the vendor's error object. Anything else yields empty details. */
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
