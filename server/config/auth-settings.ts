import { z } from "zod";
import { httpUrl } from "./setting-types.ts";

/** The settings of authentication. */
export const authSettings = {
  AUTH_MODE: z
    .enum(["token", "jwt", "open"])
    .optional()
    .describe(
      "Who may call: `token` asks for static tokens (`npm run token -- create`), `jwt` for JSON Web Tokens, `open` serves everyone who can reach the ports. Unset: no authentication; the gateway listens on loopback only and refuses another `HOST`.",
    ),
  AUTH_JWT_SECRET: z
    .string()
    .refine((text) => Buffer.byteLength(text) >= 32, "must be at least 32 bytes long")
    .optional()
    .describe("Secret of the JWTs (HS256, HS384, HS512), at least 32 bytes. With `AUTH_MODE=jwt`."),
  AUTH_JWKS_URL: httpUrl.describe(
    "Address of the JWK set with the public keys of the JWTs (EdDSA, ES, PS, RS), instead of a secret. HTTPS, unless it is on this machine.",
  ),
  AUTH_JWT_ISSUER: z
    .string()
    .min(1)
    .optional()
    .describe("Issuer (`iss`) that a JWT must have. Unset: any."),
  AUTH_JWT_AUDIENCE: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Audience (`aud`) that a JWT must name. Required with `AUTH_JWKS_URL`: its issuer signs tokens for others too.",
    ),
};
