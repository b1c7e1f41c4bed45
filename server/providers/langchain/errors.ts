import { type ErrorDetails, ProviderError, type ProviderErrorKind } from "../../core/errors.ts";

/** What of an SDK's error is looked at; none of it is promised. */
type Thrown = {
  readonly name?: unknown;
  readonly constructor?: { readonly name?: unknown };
  readonly status?: unknown;
  readonly statusCode?: unknown;
  readonly code?: unknown;
  readonly headers?: unknown;
  readonly cause?: unknown;
  /** The body of Google's answer. */
  readonly data?: unknown;
};

const faultOfStatus: { readonly [status: number]: ProviderErrorKind } = {
  400: "invalid_request",
  401: "authentication",
  402: "quota",
  403: "authorization",
  // An unknown model is a setting to mend, not the user's prompt: another tier may answer.
  404: "authorization",
  408: "timeout",
  413: "unsupported",
  429: "rate_limit",
};

/** Codes by which a provider says more than its status does, as events of a stream have none. */
const faultOfCode: { readonly [code: string]: ProviderErrorKind } = {
  invalid_api_key: "authentication",
  API_KEY_INVALID: "authentication",
  model_not_found: "authorization",
  context_length_exceeded: "unsupported",
  insufficient_quota: "quota",
  rate_limit_exceeded: "rate_limit",
  server_error: "server",
};

const messages: { readonly [fault in ProviderErrorKind]: string } = {
  authentication: "it does not accept the key",
  authorization: "the key may not do this, or the model is unknown",
  invalid_request: "it refuses the request",
  rate_limit: "too many requests for now",
  quota: "the account has nothing left to spend",
  connectivity: "it cannot be reached, or the connection broke",
  timeout: "it took too long",
  server: "it failed",
  protocol: "it answered what cannot be read",
  unsupported: "the model cannot do this",
};

/**
 * What an SDK threw, as a `ProviderError`. Its own message, body and causes go no further: they
 * repeat keys and prompts. With an image a refused request is `unsupported`, for many models see
 * nothing, and another tier may.
 */
export function langchainFault(thrown: unknown, { withImage }: { withImage: boolean }) {
  if (thrown instanceof ProviderError) return thrown;
  const error: Thrown = typeof thrown === "object" && thrown !== null ? thrown : {};
  const status = numberOf(error.status) ?? numberOf(error.statusCode);
  const code = codeOf(error);
  const found = kindOf(error, status, code);
  const fault = withImage && found === "invalid_request" ? "unsupported" : found;
  const told = [status, isShown(code) ? code : undefined]
    .filter((detail) => detail !== undefined)
    .join(" ");
  const message = `${messages[fault]}${told && ` (${told})`}`;
  return new ProviderError("langchain", fault, message, detailsOf(error));
}

function kindOf(error: Thrown, status?: number, code = ""): ProviderErrorKind {
  const known = faultOfCode[code];
  if (known) return known;
  if (status === 429 && isDailyQuota(error.data)) return "quota";
  if (status !== undefined)
    return faultOfStatus[status] ?? (status < 500 ? "invalid_request" : "server");
  const kinds = chainOf(error).flatMap((link) => [link.name, link.constructor?.name]);
  if (kinds.includes("APIConnectionTimeoutError") || kinds.includes("TimeoutError"))
    return "timeout";
  if (kinds.includes("SyntaxError")) return "protocol";
  // `fetch` throws a TypeError when it cannot connect, and when a body breaks off.
  if (kinds.includes("TypeError") || kinds.includes("APIConnectionError")) return "connectivity";
  return "server";
}

/** The error and its causes, the outermost first. */
function chainOf(error: Thrown): readonly Thrown[] {
  const chain: Thrown[] = [];
  for (let at: unknown = error; typeof at === "object" && at !== null && chain.length < 5; ) {
    chain.push(at);
    at = (at as Thrown).cause;
  }
  return chain;
}

/**
 * A code that is safe to show: OpenAI's own, Google's reason, or the system's. Clients offer their
 * user a purchase where they read of a limit or quota, and these are the operator's.
 */
function isShown(code: string | undefined): code is string {
  return code !== undefined && !/limit|quota|subscri/i.test(code);
}

/** The code of an error, if it has one that is a single word. */
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

/** Google's limits are a minute's or a day's; only the latter do not pass soon. */
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

/** "7", "7s", or a date: the seconds from now. */
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
