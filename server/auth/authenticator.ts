import { stat } from "node:fs/promises";
import { AccessDenied, type Caller } from "./caller.ts";
import { createJwtVerifier, type JwtOptions } from "./jwt.ts";
import { hashOf, readTokenFile, type StoredToken, type TokenFile } from "./token-file.ts";

/** How callers are known. */
export type AuthOptions = {
  /** `token`: static keys of the file. `jwt`: JSON Web Tokens, and the file's revoked ids. */
  readonly mode: "token" | "jwt";
  /** The file of tokens. */
  readonly path: string;
  /** Required for `jwt`. */
  readonly jwt?: JwtOptions;
  /** The file cannot be read any more. What was read before stays in force. */
  readonly onError: (error: Error) => void;
};

/** Checks tokens, and notices when they are revoked. */
export type Authenticator = {
  /** The caller of a token, given as the header `authorization`. Throws `AccessDenied`. */
  authenticate(authorization: string | undefined): Caller | Promise<Caller>;
  /** Whether a caller's token is still valid. False after it was revoked. */
  isValid(caller: Caller): boolean;
  /** Sets the one listener that is called after the file has changed. */
  onChange(listener: () => void): void;
  /** Reads the file. Rejects if it is damaged. */
  start(): Promise<void>;
  stop(): Promise<void>;
};

/** How often the file is looked at: a revocation takes effect within about this time. */
const CHECK_EVERY_MS = 1000;

/** Creates an authenticator. It reads nothing before its `start`. */
export function createAuthenticator(options: AuthOptions): Authenticator {
  const file = followFile(options);
  const verifyJwt = options.jwt && createJwtVerifier(options.jwt);
  return {
    authenticate(authorization) {
      const token = parseBearer(authorization);
      return verifyJwt ? authenticateJwt(token) : callerOf(file.find(hashOf(token)));
    },
    isValid: ({ tokenId }) => tokenId === undefined || file.allows(tokenId),
    onChange: file.onChange,
    start: file.start,
    stop: file.stop,
  };

  async function authenticateJwt(token: string): Promise<Caller> {
    const caller = await (verifyJwt as NonNullable<typeof verifyJwt>)(token);
    if (caller.tokenId !== undefined && !file.allows(caller.tokenId)) {
      throw new AccessDenied("unauthenticated", "the token was revoked");
    }
    return caller;
  }
}

function callerOf(stored: StoredToken | undefined): Caller {
  if (stored === undefined) throw new AccessDenied("unauthenticated", "the token is not valid");
  if (stored.expiresAt !== undefined && Date.parse(stored.expiresAt) <= Date.now()) {
    throw new AccessDenied("unauthenticated", "the token has expired");
  }
  return { tokenId: stored.id, deviceId: stored.device, scopes: new Set(stored.scopes) };
}

/** Longer than any token; a header holds 16 KiB. */
const MAX_TOKEN_LENGTH = 8192;

/** The token in a header `authorization` (RFC 6750). Throws `AccessDenied` that does not repeat it. */
export function parseBearer(authorization: string | undefined): string {
  if (authorization === undefined) {
    throw new AccessDenied("unauthenticated", "a token is required: authorization: Bearer TOKEN");
  }
  const [, token = ""] = /^bearer +([\w.~+/-]+=*)$/i.exec(authorization.trim()) ?? [];
  if (token !== "" && token.length <= MAX_TOKEN_LENGTH) return token;
  throw new AccessDenied("unauthenticated", "authorization must be: Bearer TOKEN");
}

/** Keeps what the file says, and looks at it again and again. */
function followFile({ mode, path, onError }: AuthOptions) {
  let tokens: ReadonlyMap<string, StoredToken> = new Map();
  let ids: ReadonlySet<string> = new Set();
  let revokedJwts: ReadonlySet<string> = new Set();
  let seen = "";
  let changed: () => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  let checking: Promise<void> = Promise.resolve();

  const take = (file: TokenFile) => {
    tokens = new Map(file.tokens.map((token) => [token.sha256, token]));
    ids = new Set(file.tokens.map(({ id }) => id));
    revokedJwts = new Set(file.revokedJwts);
  };
  const check = async () => {
    const now = await versionOf(path);
    if (now === seen) return;
    try {
      take(await readTokenFile(path));
      changed();
    } catch (error) {
      onError(error as Error);
    }
    seen = now;
  };
  return {
    find: (sha256: string) => tokens.get(sha256),
    allows: (id: string) => (mode === "jwt" ? !revokedJwts.has(id) : ids.has(id)),
    onChange(listener: () => void) {
      changed = listener;
    },
    async start() {
      seen = await versionOf(path);
      take(await readTokenFile(path));
      timer = setInterval(() => {
        checking = check();
      }, CHECK_EVERY_MS).unref();
    },
    async stop() {
      clearInterval(timer);
      await checking;
    },
  };
}

/** What changes whenever the file is replaced or written. */
async function versionOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found ? `${found.ino} ${found.ctimeNs} ${found.size}` : "absent";
}
