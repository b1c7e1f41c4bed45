import { type ErrorDetails, ProviderError, type ProviderErrorKind } from "../../core/errors.ts";

/** An HTTP response in place of the WebSocket handshake. */
export type Refusal = {
  readonly status: number;
  readonly retryAfter?: string | undefined;
  /** The server's `Date` header. */
  readonly date?: string | undefined;
  /** The first characters of its body. */
  readonly body?: string;
};

const kindsByStatus: Readonly<Record<number, ProviderErrorKind>> = {
  // A handshake carries nothing of the user's, so a 400 is about the settings.
  400: "authorization",
  401: "authentication",
  403: "authorization",
  404: "authorization",
  429: "rate_limit",
};

const messages: Readonly<Record<ProviderErrorKind, string>> = {
  authentication: "the key is not valid",
  authorization: "the key has no access to this service",
  invalid_request: "the request was refused",
  rate_limit: "too many requests",
  quota: "the account has no credit left",
  connectivity: "the connection was lost",
  timeout: "the service did not respond in time",
  server: "the service failed",
  protocol: "the response cannot be read",
  unsupported: "the voice does not exist",
  language: "the voice does not speak this language",
  capacity: "too many texts wait",
};

/** The error for a refused handshake. Quotes nothing of the response. */
export function refusalError(provider: string, refusal: Refusal): ProviderError {
  const { status, retryAfter, body = "" } = refusal;
  const isQuota = (status === 403 || status === 429) && /quota|call volume/i.test(body);
  const kind = isQuota ? "quota" : (kindsByStatus[status] ?? "server");
  return speechError(provider, kind, { note: `HTTP ${status}`, ...delayOf(retryAfter) });
}

/**
 * The error for a connection that the service closed. It uses 1007 for many reasons, and only the
 * text tells them apart: an unknown voice, an exhausted quota, a refused document.
 */
export function closeError(provider: string, code: number, reason: string): ProviderError {
  return speechError(provider, kindOfClose(code, reason), { note: `closed with ${code}` });
}

/** The error for a broken connection. `code` comes from the system or the WebSocket library. */
export function brokenError(provider: string, code: string | undefined): ProviderError {
  const kind = code?.startsWith("WS_ERR_") ? "protocol" : "connectivity";
  return speechError(provider, kind, code === undefined ? {} : { note: code });
}

/** An error of this kind, in words that contain no key and no speech. `note` is appended. */
export function speechError(
  provider: string,
  kind: ProviderErrorKind,
  { note, ...details }: ErrorDetails & { readonly note?: string } = {},
): ProviderError {
  const message = note === undefined ? messages[kind] : `${messages[kind]} (${note})`;
  return new ProviderError(provider, kind, message, details);
}

function kindOfClose(code: number, reason: string): ProviderErrorKind {
  if (/quota|call volume/i.test(reason)) return "quota";
  if (code === 4429 || /throttl|too many|concurrent/i.test(reason)) return "rate_limit";
  if (code === 4401) return "authentication";
  if (code === 4403 || code === 1008) return "authorization";
  if (code === 1007) return /voice/i.test(reason) ? "unsupported" : "invalid_request";
  if (code === 1002 || code === 1003) return "protocol";
  return code === 1000 || code === 1001 || code === 1005 || code === 1006
    ? "connectivity"
    : "server";
}

function delayOf(retryAfter: string | undefined): ErrorDetails {
  if (!retryAfter) return {};
  const seconds = Number(retryAfter);
  const delayMs = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000;
  return Number.isFinite(delayMs) ? { retryAfterMs: Math.max(0, delayMs) } : {};
}
