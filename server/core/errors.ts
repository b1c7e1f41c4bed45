/** A request that breaks a rule of the contract. The client's to mend; never retried as it stands. */
export class InvalidRequest extends Error {
  override readonly name = "InvalidRequest";
  /** The field as the client wrote it: `hardware_id`. */
  readonly field: string;

  /** `rule` says what the field must be, to follow the field's name: "must not be empty". */
  constructor(field: string, rule: string) {
    super(`${field} ${rule}`);
    this.field = field;
  }
}

/** A limit on how much may run at once was reached. The same request may pass later. */
export class LimitExceeded extends Error {
  override readonly name = "LimitExceeded";
}

/**
 * What kind of fault a provider had.
 * - `authentication`, `authorization`: the key is wrong, or may not do this. Somebody must mend it.
 * - `invalid_request`: the provider refuses what it was asked, whoever asks.
 * - `rate_limit`, `quota`: too much for now, or until somebody pays.
 * - `connectivity`, `timeout`, `server`, `protocol`: it cannot be reached, is silent, fails, or
 *   answers what nobody can read. May pass by itself.
 * - `unsupported`: this one cannot do this, another may: a language, say.
 */
export type ProviderErrorKind =
  | "authentication"
  | "authorization"
  | "invalid_request"
  | "rate_limit"
  | "quota"
  | "connectivity"
  | "timeout"
  | "server"
  | "protocol"
  | "unsupported";

/** What else is known of a provider's fault. */
export type ErrorDetails = {
  readonly cause?: unknown;
  /**
   * What another program wrote, or a path: for the log alone, never for clients or `/status`. It
   * bears no secret, nor what was said.
   */
  readonly detail?: string | undefined;
  /** How long the provider asked to be left alone. */
  readonly retryAfterMs?: number;
};

const passing = new Set<ProviderErrorKind>([
  "rate_limit",
  "connectivity",
  "timeout",
  "server",
  "protocol",
]);

/** Characters of a foreign text that the log takes. Its end says most. */
const longestDetail = 500;

/** The end of a foreign text as a log takes it: on one line, without control characters. */
export function oneLine(text: string): string {
  const line = text
    .slice(-8 * longestDetail)
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim();
  return line.length <= longestDetail ? line : `…${line.slice(1 - longestDetail)}`;
}

/** A provider could not do what it was asked. */
export class ProviderError extends Error {
  override readonly name = "ProviderError";
  /** The provider's tier name: `local`. */
  readonly provider: string;
  readonly fault: ProviderErrorKind;
  /** How long the provider asked to be left alone, if it did. */
  readonly retryAfterMs: number | undefined;

  /** For the log alone: one line of at most 500 characters, or absent. */
  readonly detail: string | undefined;

  /**
   * `message` goes to clients and `/status`: it is made of the gateway's own words, and never bears a
   * secret, a path, nor what the user or the model said.
   */
  constructor(
    provider: string,
    fault: ProviderErrorKind,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(`${provider}: ${message}`, { cause: details.cause });
    this.provider = provider;
    this.fault = fault;
    this.retryAfterMs = details.retryAfterMs;
    this.detail = details.detail === undefined ? undefined : oneLine(details.detail);
  }

  /** True if the same request may pass later, without anybody mending anything. */
  get retryable(): boolean {
    return passing.has(this.fault);
  }

  /** True if somebody must mend a setting: a key, a right, a quota. */
  get misconfigured(): boolean {
    return this.fault === "authentication" || this.fault === "authorization";
  }
}

/** Every tier of a chain failed. `causes` are in the order in which the tiers were asked. */
export class NoProviderLeft extends Error {
  override readonly name = "NoProviderLeft";
  readonly causes: readonly Error[];

  constructor(kind: string, causes: readonly Error[]) {
    super(`no ${kind} provider could answer (${causes.map((cause) => cause.message).join("; ")})`);
    this.causes = causes;
  }
}
