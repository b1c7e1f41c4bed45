/**
 * Why Redis failed.
 * - `unreachable`: there is no connection. It is made again by itself.
 * - `timeout`: no answer in time.
 * - `unauthorized`: the user or the password is wrong, or may not do this.
 * - `refused`: Redis answered with an error: it is full, loading, read-only, or knows no such command.
 * - `overload`: too much waits for answers.
 */
export type RedisErrorKind = "unreachable" | "timeout" | "unauthorized" | "refused" | "overload";

const messages: Record<RedisErrorKind, string> = {
  unreachable: "Redis is not reachable",
  timeout: "Redis does not answer in time",
  unauthorized: "Redis refuses the user or the password",
  refused: "Redis refuses a command",
  overload: "too many commands wait for Redis",
};

/** Redis failed. The message holds no address, no password, and nothing of what was sent. */
export class RedisError extends Error {
  override readonly name = "RedisError";
  readonly kind: RedisErrorKind;
  /** The first word of Redis' own answer, or the system's code, for the log: `READONLY`, `ECONNREFUSED`. */
  readonly code: string | undefined;

  constructor(kind: RedisErrorKind, code?: string) {
    super(messages[kind]);
    this.kind = kind;
    this.code = code;
  }
}

/** Names the kind of what the client throws. Its messages are dropped: they hold keys and values. */
export function toRedisError(error: unknown): RedisError {
  if (error instanceof RedisError) return error;
  if (!(error instanceof Error)) return new RedisError("unreachable");
  const { name, message, code } = error as Error & { code?: unknown };
  if (name !== "ReplyError") {
    return new RedisError("unreachable", typeof code === "string" ? code : undefined);
  }
  const [answer] = /^[A-Z]+/.exec(message) ?? [];
  const isDenied = answer !== undefined && /^(NOAUTH|WRONGPASS|NOPERM)$/.test(answer);
  return new RedisError(isDenied ? "unauthorized" : "refused", answer);
}
