import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import { z } from "zod";
import { AccessDenied, type Caller, type Scope, scopes } from "./caller.ts";

/** How JWTs are checked. */
export type JwtOptions = {
  /** Where the keys come from: a secret of at least 32 bytes, or the address of a JWK set. */
  readonly keys: { readonly secret: string } | { readonly jwksUrl: string };
  /** The `iss` that a token must have. Absent: any. */
  readonly issuer?: string;
  /** The `aud` that a token must name. Absent: any. */
  readonly audience?: string;
};

/** Checks a JWT and returns its caller. Throws `AccessDenied`. */
export type VerifyJwt = (token: string) => Promise<Caller>;

const secretAlgorithms = ["HS256", "HS384", "HS512"];
/** Never one of HMAC: a public key must not pass for a secret. */
const keyAlgorithms = ["EdDSA", "Ed25519"].concat(
  ["ES", "RS", "PS"].flatMap((family) => ["256", "384", "512"].map((bits) => family + bits)),
);

/** Seconds that clocks may differ. */
const CLOCK_TOLERANCE_SECONDS = 5;
const JWKS_TIMEOUT_MS = 5000;

/**
 * Creates the check of JWTs: signature, `exp` (required), `nbf`, issuer and audience. The claim
 * `hardware_id` names the device, `scope` holds scopes separated by spaces; others are ignored.
 */
export function createJwtVerifier(options: JwtOptions): VerifyJwt {
  const verify = openKeys(options.keys);
  const rules = {
    requiredClaims: ["exp"],
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    ...(options.issuer !== undefined && { issuer: options.issuer }),
    ...(options.audience !== undefined && { audience: options.audience }),
  };
  return async (token) => {
    const payload = await verify(token, rules).catch((error: unknown) => {
      throw denialOf(error);
    });
    return toCaller(payload);
  };
}

type Rules = {
  readonly requiredClaims: string[];
  readonly clockTolerance: number;
  readonly issuer?: string;
  readonly audience?: string;
};

function openKeys(keys: JwtOptions["keys"]) {
  if ("secret" in keys) {
    const secret = new TextEncoder().encode(keys.secret);
    return async (token: string, rules: Rules) =>
      (await jwtVerify(token, secret, { ...rules, algorithms: secretAlgorithms })).payload;
  }
  const set = createRemoteJWKSet(new URL(keys.jwksUrl), { timeoutDuration: JWKS_TIMEOUT_MS });
  return async (token: string, rules: Rules) =>
    (await jwtVerify(token, set, { ...rules, algorithms: keyAlgorithms })).payload;
}

const claims = z.object({
  hardware_id: z.string().min(1),
  scope: z.string().default(""),
  jti: z.string().min(1).optional(),
});

function toCaller(payload: JWTPayload): Caller {
  const parsed = claims.safeParse(payload);
  if (!parsed.success) {
    const claim = parsed.error.issues[0]?.path.join(".");
    throw new AccessDenied("unauthenticated", `the token has no valid claim ${claim}`);
  }
  const { hardware_id: deviceId, scope, jti: tokenId } = parsed.data;
  const named = new Set(scope.split(" "));
  const allowed = scopes.filter((each): each is Scope => named.has(each));
  return { deviceId, scopes: new Set(allowed), ...(tokenId !== undefined && { tokenId }) };
}

/** The reason in the gateway's own words. What is not the token's fault may pass later. */
function denialOf(error: unknown): AccessDenied {
  if (error instanceof errors.JWTExpired) {
    return new AccessDenied("unauthenticated", "the token has expired");
  }
  const isKeysFault =
    !(error instanceof errors.JOSEError) ||
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    error.code === "ERR_JOSE_GENERIC";
  return isKeysFault
    ? new AccessDenied("unavailable", "the keys of AUTH_JWKS_URL cannot be read right now")
    : new AccessDenied("unauthenticated", "the token is not valid");
}
