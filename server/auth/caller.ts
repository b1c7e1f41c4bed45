/** What a token may allow. docs/security.md says which RPCs and routes need which. */
export const scopes = [
  "speak",
  "agent",
  "files",
  "desktop",
  "browser",
  "status",
  "metrics",
  "reflection",
  "analysis",
  "analysis-all",
] as const;

/** One of `scopes`. */
export type Scope = (typeof scopes)[number];

/** Who sends a request. */
export type Caller = {
  /** The token's id: a static key's, or a JWT's `jti`. Absent without authentication. */
  readonly tokenId?: string;
  /** The device that the token belongs to. Absent without authentication: then a request names it. */
  readonly deviceId?: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Fires with a `TurnCancelled` when the token is revoked. Absent if it cannot be. */
  readonly signal?: AbortSignal;
  /**
   * Counts the request for the device that it names, where no token says the device. Throws
   * `LimitExceeded`.
   */
  readonly countDevice?: (deviceId: string) => void;
};

/** A client of a gateway without authentication, on the gateway's own machine. */
export const localCaller: Caller = { scopes: new Set(scopes) };

/** What concerns the gateway itself, or every device. */
const onlyLocal: readonly Scope[] = ["metrics", "reflection", "analysis-all"];

/** The same on another machine: `AUTH_MODE` is `open`. Nothing about the gateway itself is for it. */
export const remoteCaller: Caller = {
  scopes: new Set(scopes.filter((scope) => !onlyLocal.includes(scope))),
};

/** A request for a path that needs no token. */
export const anonymousCaller: Caller = { scopes: new Set() };

/** Why a request is not served, by Connect's names of the codes. */
export type AccessDeniedKind = "unauthenticated" | "permission_denied" | "unavailable";

/** The caller has no valid token, or not the right one. The message never holds the token. */
export class AccessDenied extends Error {
  override readonly name = "AccessDenied";
  readonly kind: AccessDeniedKind;

  constructor(kind: AccessDeniedKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * The device of a request: the token's own. Throws `AccessDenied` if the request names another one.
 * Without authentication it is the one that the request names. Throws `LimitExceeded` if that device
 * sends too much.
 */
export function deviceOf(caller: Caller, hardwareId: string): string {
  if (caller.deviceId === undefined) {
    caller.countDevice?.(hardwareId);
    return hardwareId;
  }
  if (hardwareId === "" || hardwareId === caller.deviceId) return caller.deviceId;
  throw new AccessDenied("permission_denied", "hardware_id is not the device of this token");
}

/** One signal for the end of a call: its client disconnects, or its token is revoked. */
export function signalOf(caller: Caller, signal: AbortSignal): AbortSignal {
  return caller.signal ? AbortSignal.any([signal, caller.signal]) : signal;
}
