import { type ErrorDetails, ProviderError, type ProviderErrorKind } from "../../core/errors.ts";

/** An answer that was no WebSocket. */
export type Refusal = {
  readonly status: number;
  readonly retryAfter?: string | undefined;
  /** The server's `Date` header. */
  readonly date?: string | undefined;
  /** The beginning of its text. */
  readonly body?: string;
};

const faultsByStatus: Readonly<Record<number, ProviderErrorKind>> = {
  // Nothing of the user's is in a handshake: what it refuses is a setting.
  400: "authorization",
  401: "authentication",
  403: "authorization",
  404: "authorization",
  429: "rate_limit",
};

const messages: Readonly<Record<ProviderErrorKind, string>> = {
  authentication: "the key is not accepted",
  authorization: "the key may not use this service here",
  invalid_request: "the request was refused",
  rate_limit: "too many requests",
  quota: "the account has nothing left to spend",
  connectivity: "the connection was lost",
  timeout: "the service is silent",
  server: "the service failed",
  protocol: "the answer cannot be read",
  unsupported: "there is no such voice",
};

/** The error of a connection that was answered with a status. Nothing of its text is kept. */
export function refusalFault(provider: string, refusal: Refusal): ProviderError {
  const { status, retryAfter, body = "" } = refusal;
  const isQuota = (status === 403 || status === 429) && /quota|call volume/i.test(body);
  const fault = isQuota ? "quota" : (faultsByStatus[status] ?? "server");
  return kindOf(provider, fault, { told: `HTTP ${status}`, ...delayOf(retryAfter) });
}

/**
 * The error of a connection that the service closed. It closes with 1007 for many reasons, which
 * only the text tells apart: that a voice is unknown, the quota used up, or the document refused.
 */
export function closeFault(provider: string, code: number, reason: string): ProviderError {
  return kindOf(provider, classify(code, reason), { told: `closed with ${code}` });
}

/** The error of a connection that broke; `code` is the system's or the WebSocket library's. */
export function brokenFault(provider: string, code: string | undefined): ProviderError {
  const fault = code?.startsWith("WS_ERR_") ? "protocol" : "connectivity";
  return kindOf(provider, fault, code === undefined ? {} : { told: code });
}

/** The error of a fault, in words that bear neither keys nor what anybody said. `told` is added. */
export function kindOf(
  provider: string,
  fault: ProviderErrorKind,
  { told, ...details }: ErrorDetails & { readonly told?: string } = {},
): ProviderError {
  const message = told === undefined ? messages[fault] : `${messages[fault]} (${told})`;
  return new ProviderError(provider, fault, message, details);
}

function classify(code: number, reason: string): ProviderErrorKind {
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
