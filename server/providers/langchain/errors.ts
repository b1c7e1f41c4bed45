import { type ErrorDetails, ProviderError, type ProviderErrorKind } from "../../core/errors.ts";

/** The fields of an SDK's error that are read. None is guaranteed. */
type Thrown = {
  readonly name?: unknown;
  readonly constructor?: { readonly name?: unknown };
  readonly status?: unknown;
  readonly statusCode?: unknown;
  readonly code?: unknown;
  readonly headers?: unknown;
  readonly cause?: unknown;
  /** The body of Google's response. */
  readonly data?: unknown;
};

const kindOfStatus: { readonly [status: number]: ProviderErrorKind } = {
  400: "invalid_request",
  401: "authentication",
  402: "quota",
  403: "authorization",
  // The model is unknown: the settings are wrong, not the request.
  404: "authorization",
  408: "timeout",
  413: "unsupported",
  429: "rate_limit",
};

/** Codes that say more than the status. Errors within a stream have no status. */
const kindOfCode: { readonly [code: string]: ProviderErrorKind } = {
  invalid_api_key: "authentication",
  API_KEY_INVALID: "authentication",
  model_not_found: "authorization",
  context_length_exceeded: "unsupported",
  insufficient_quota: "quota",
  rate_limit_exceeded: "rate_limit",
  server_error: "server",
};

const messages: { readonly [kind in ProviderErrorKind]: string } = {
  authentication: "the key is not valid",
  authorization: "the key has no access, or the model is unknown",
  invalid_request: "the request was refused",
  rate_limit: "too many requests",
  quota: "the account has no credit left",
  connectivity: "no connection, or the connection was lost",
  timeout: "the service did not respond in time",
  server: "the service failed",
  protocol: "the response cannot be read",
  unsupported: "the model does not support this",
  language: "the model does not know this language",
  capacity: "too many requests wait",
};

/**
 * Converts an SDK's error to a `ProviderError`. Drops its message, body and causes, which repeat keys
 * and prompts. With an image a refused request is `unsupported`: many models accept no images, and
 * another tier may.
 */
export function langchainError(thrown: unknown, { withImage }: { withImage: boolean }) {
  if (thrown instanceof ProviderError) return thrown;
  const error: Thrown = typeof thrown === "object" && thrown !== null ? thrown : {};
  const status = numberOf(error.status) ?? numberOf(error.statusCode);
  const code = codeOf(error);
  const found = classify(error, status, code);
  const kind = withImage && found === "invalid_request" ? "unsupported" : found;
  const note = [status, isShown(code) ? code : undefined]
    .filter((detail) => detail !== undefined)
    .join(" ");
  const message = `${messages[kind]}${note && ` (${note})`}`;
  return new ProviderError("langchain", kind, message, detailsOf(error));
}

function classify(error: Thrown, status?: number, code = ""): ProviderErrorKind {
  const known = kindOfCode[code];
  if (known) return known;
  if (status === 429 && isDailyQuota(error.data)) return "quota";
  if (status !== undefined)
    return kindOfStatus[status] ?? (status < 500 ? "invalid_request" : "server");
  const names = chainOf(error).flatMap((link) => [link.name, link.constructor?.name]);
  if (names.includes("APIConnectionTimeoutError") || names.includes("TimeoutError"))
    return "timeout";
  if (names.includes("SyntaxError")) return "protocol";
  // `fetch` throws a TypeError if it cannot connect or the body breaks off.
  if (names.includes("TypeError") || names.includes("APIConnectionError")) return "connectivity";
  return "server";
}

/** The error and its causes, outermost first. */
function chainOf(error: Thrown): readonly Thrown[] {
  const chain: Thrown[] = [];
  for (let at: unknown = error; typeof at === "object" && at !== null && chain.length < 5; ) {
    chain.push(at);
    at = (at as Thrown).cause;
  }
  return chain;
}

/**
 * True if the code may be shown. Clients offer their user a purchase when they read "limit" or
 * "quota", but this limit is the operator's.
 */
function isShown(code: string | undefined): code is string {
  return code !== undefined && !/limit|quota|subscri/i.test(code);
}

/** The error's code: OpenAI's, Google's reason, or the system's. */
function codeOf(error: Thrown): string | undefined {
  const codes = [...chainOf(error).map(({ code }) => code), ...detailsIn(error.data, "reason")];
  return codes.find((code): code is string => typeof code === "string" && /^\w{1,40}$/.test(code));
}

/** The values of a field in the details of Google's error. */
function detailsIn(body: unknown, field: string): readonly unknown[] {
  const { error } = (typeof body === "object" && body !== null ? body : {}) as {
    error?: { details?: unknown };
  };
  const details = Array.isArray(error?.details) ? error.details : [];
  return details.map((detail: { readonly [name: string]: unknown } | null) => detail?.[field]);
}

/** Google limits requests per minute and per day. Only a daily limit does not pass soon. */
function isDailyQuota(body: unknown): boolean {
  return /PerDay/.test(JSON.stringify(body ?? ""));
}

function detailsOf(error: Thrown): ErrorDetails {
  const seconds = secondsOf(headerOf(error.headers, "retry-after"));
  const delay = detailsIn(error.data, "retryDelay")
    .map(secondsOf)
    .find((found) => found !== undefined);
  const wait = seconds ?? delay;
  return wait === undefined ? {} : { retryAfterMs: Math.round(wait * 1000) };
}

function headerOf(headers: unknown, name: string): unknown {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  return (headers as { readonly [name: string]: unknown } | undefined)?.[name];
}

/** Seconds from now, from "7", "7s" or a date. */
function secondsOf(value: unknown): number | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  const seconds = Number(value.replace(/s$/, ""));
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const until = Date.parse(value);
  return Number.isNaN(until) ? undefined : Math.max(0, (until - Date.now()) / 1000);
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
