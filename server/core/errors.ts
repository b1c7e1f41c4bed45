import type { ProviderErrorKind } from "./outcomes.ts";

/** A request that breaks a rule of the contract. The client must change it before it retries. */
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

/** The limits that a request can meet, by the names that clients are told. */
export type LimitName =
  /** Requests and bytes of requests a second, of an address and of a device. */
  | "address_requests"
  | "address_bytes"
  | "device_requests"
  | "device_bytes"
  /** Seconds of sound and tokens of a device in a day. */
  | "audio_quota"
  | "token_quota"
  /** Streams at once: in all, of a connection, of a device. */
  | "streams"
  | "connection_streams"
  | "device_streams"
  /** What waits or is worked on at once. */
  | "request_bodies"
  | "uploads"
  | "analyses"
  | "login_attempts"
  | "collected_prompts"
  | "tickets"
  | "questions"
  | "events"
  | "encoders"
  | "voices";

/** When the same request may pass, where nothing better is known. */
const RETRY_MS = 2000;

/** A limit was reached. The same request may pass later. */
export class LimitExceeded extends Error {
  override readonly name = "LimitExceeded";
  readonly limit: LimitName;
  /** When the request may pass. */
  readonly retryAfterMs: number;

  constructor(message: string, limit: LimitName, retryAfterMs = RETRY_MS) {
    super(message);
    this.limit = limit;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What the request names does not exist, or belongs to another device: the answer is the same. */
export class NotFound extends Error {
  override readonly name = "NotFound";
}

/** A turn of this id was there before, and cannot be read again. A new turn needs an id of its own. */
export class AlreadyExists extends Error {
  override readonly name = "AlreadyExists";
}

/** The place that the request names is not kept any more, or does not exist yet. */
export class OutOfRange extends Error {
  override readonly name = "OutOfRange";
}

/** What else is known of a provider's error. */
export type ErrorDetails = {
  readonly cause?: unknown;
  /**
   * What another program wrote, or a path: for the log only, never for clients or `/status`. It holds
   * no secret, nor what was said.
   */
  readonly detail?: string | undefined;
  /** How long the provider asked callers to wait. */
  readonly retryAfterMs?: number;
};

/** The most characters of another program's text in the log. Its end says most. */
const longestDetail = 500;

/** The end of another program's text for the log: one line, without control characters. */
export function oneLine(text: string): string {
  const line = text
    .slice(-8 * longestDetail)
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, " ")
    .trim();
  return line.length <= longestDetail ? line : `…${line.slice(1 - longestDetail)}`;
}

/** A provider could not do what it was asked. `outcomes.ts` says what follows. */
export class ProviderError extends Error {
  override readonly name = "ProviderError";
  /** The provider's tier name: `local`. */
  readonly provider: string;
  readonly kind: ProviderErrorKind;
  /** How long the provider asked callers to wait, if it did. */
  readonly retryAfterMs: number | undefined;

  /** For the log only: one line of at most 500 characters, or absent. */
  readonly detail: string | undefined;

  /**
   * `message` goes to clients and `/status`: it is in the gateway's own words, and never holds a secret,
   * a path, nor what the user or the model said.
   */
  constructor(
    provider: string,
    kind: ProviderErrorKind,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(`${provider}: ${message}`, { cause: details.cause });
    this.provider = provider;
    this.kind = kind;
    this.retryAfterMs = details.retryAfterMs;
    this.detail = details.detail === undefined ? undefined : oneLine(details.detail);
  }

  /** True if a setting must change: a key or a right. */
  get misconfigured(): boolean {
    return this.kind === "authentication" || this.kind === "authorization";
  }
}

/** Every tier of a chain failed. `causes` are in the order of the calls. */
export class NoProviderLeft extends Error {
  override readonly name = "NoProviderLeft";
  readonly kind: "text" | "speech";
  readonly causes: readonly ProviderError[];

  constructor(kind: "text" | "speech", causes: readonly ProviderError[]) {
    super(`no ${kind} provider could answer (${causes.map((cause) => cause.message).join("; ")})`);
    this.kind = kind;
    this.causes = causes;
  }

  /** True if nothing failed but that no tier speaks the language. */
  get isOfLanguage(): boolean {
    return this.causes.length > 0 && this.causes.every(({ kind }) => kind === "language");
  }
}
