/**
 * Why the database failed.
 * - `busy`, `full`, `readonly`, `io`, `unreachable`, `timeout`: for now. It may heal by itself.
 * - `unauthorized`: the token is wrong.
 * - `corrupt`: the file is damaged, or is no database.
 * - `refused`: this row, whenever it comes. Others pass.
 * - `overload`: too much waits to be written.
 * - `missing`: the packages of the database cannot be loaded on this platform. It does not heal.
 */
export type StorageErrorKind =
  | "busy"
  | "full"
  | "readonly"
  | "io"
  | "unreachable"
  | "timeout"
  | "unauthorized"
  | "corrupt"
  | "refused"
  | "overload"
  | "missing";

const messages: Record<StorageErrorKind, string> = {
  busy: "the database is locked by another program",
  full: "the disk is full",
  readonly: "the database is read-only",
  io: "the database cannot be opened, read or written",
  unreachable: "the database server is not reachable",
  timeout: "the database does not answer in time",
  unauthorized: "the database server refuses the token",
  corrupt: "the database file is damaged or no database",
  refused: "the database refuses a row",
  overload: "too many rows wait for the database",
  missing:
    "the database's package for this platform is missing; run npm install here, or set STORAGE_ENABLED=false",
};

/** The database failed. The message holds no path, no address, and nothing of what was written. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly kind: StorageErrorKind;
  /** The database's own code, for the log: `SQLITE_BUSY`. */
  readonly code: string | undefined;

  constructor(kind: StorageErrorKind, code?: string) {
    super(messages[kind]);
    this.kind = kind;
    this.code = code;
  }
}

const kindsOfCodes: readonly (readonly [RegExp, StorageErrorKind])[] = [
  [/^SQLITE_(BUSY|LOCKED)/, "busy"],
  [/^SQLITE_FULL/, "full"],
  [/^SQLITE_(READONLY|PERM)/, "readonly"],
  [/^SQLITE_(CORRUPT|NOTADB)/, "corrupt"],
  [/^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG|RANGE|ERROR)|^SQL_/, "refused"],
  [/^SQLITE_/, "io"],
  [/^AUTH|_401$|_403$/, "unauthorized"],
  [/^(ERR_)?MODULE_NOT_FOUND$|^ERR_DLOPEN_FAILED$/, "missing"],
];

/**
 * Names the kind of what the database's packages throw. Their messages are dropped: they hold
 * statements, values and addresses.
 */
export function toStorageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const code = codeOf(error);
  const kind = kindsOfCodes.find(([pattern]) => pattern.test(code))?.[1];
  return new StorageError(kind ?? "unreachable", code);
}

/** The code of the innermost cause that has one. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "UNKNOWN";
  const { code, status, cause } = error as Error & { code?: unknown; status?: unknown };
  const inner = cause === undefined ? "UNKNOWN" : codeOf(cause);
  if (inner !== "UNKNOWN") return inner;
  if (typeof status === "number") return `HTTP_${status}`;
  return typeof code === "string" ? code : "UNKNOWN";
}

/** What of an error passes between threads. */
export type Failure = { readonly kind: StorageErrorKind; readonly code?: string | undefined };
