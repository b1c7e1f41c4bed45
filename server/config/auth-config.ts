import { join } from "node:path";
import { isLoopback } from "./config-sources.ts";
import type { Settings } from "./settings.ts";

/** How callers are known. */
export type AuthConfig = {
  readonly mode: "token" | "jwt";
  /** The file of tokens: static keys as hashes, and ids of revoked JWTs. */
  readonly path: string;
  readonly jwt?: {
    readonly keys: { readonly secret: string } | { readonly jwksUrl: string };
    readonly issuer?: string;
    readonly audience?: string;
  };
};

/** The file of tokens in the folder for the gateway's data. */
export function tokenPath(dataDir: string): string {
  return join(dataDir, "tokens.json");
}

/** Settings of authentication that contradict each other, one message each. */
export function findAuthConflicts(env: Settings): readonly string[] {
  const { AUTH_MODE: mode, AUTH_JWT_SECRET: secret, AUTH_JWKS_URL: jwksUrl } = env;
  if (mode !== "jwt") {
    const names = [
      "AUTH_JWT_SECRET",
      "AUTH_JWKS_URL",
      "AUTH_JWT_ISSUER",
      "AUTH_JWT_AUDIENCE",
    ] as const;
    return names
      .filter((name) => env[name] !== undefined)
      .map((name) => `${name} is set without AUTH_MODE=jwt. Set AUTH_MODE, or unset ${name}.`);
  }
  const problems: string[] = [];
  if ((secret === undefined) === (jwksUrl === undefined)) {
    problems.push("AUTH_MODE is jwt: set one of AUTH_JWT_SECRET and AUTH_JWKS_URL, not both.");
  }
  if (jwksUrl !== undefined && env.AUTH_JWT_AUDIENCE === undefined) {
    problems.push(
      "AUTH_JWKS_URL is set without AUTH_JWT_AUDIENCE: tokens for other services would be valid here too.",
    );
  }
  if (jwksUrl !== undefined && !isSafe(new URL(jwksUrl))) {
    problems.push("AUTH_JWKS_URL must be https: who changes the answer on its way makes tokens.");
  }
  return problems;
}

function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || isLoopback(hostname.replace(/^\[(.*)\]$/, "$1"));
}

/** Collects the settings of authentication. Empty without it. */
export function toAuthConfig(env: Settings): { readonly auth?: AuthConfig } {
  const { AUTH_MODE: mode, AUTH_JWT_SECRET: secret, AUTH_JWKS_URL: jwksUrl = "" } = env;
  const path = tokenPath(env.DATA_DIR);
  if (mode === "token") return { auth: { mode, path } };
  if (mode !== "jwt") return {};
  const jwt = {
    keys: secret === undefined ? { jwksUrl } : { secret },
    ...(env.AUTH_JWT_ISSUER !== undefined && { issuer: env.AUTH_JWT_ISSUER }),
    ...(env.AUTH_JWT_AUDIENCE !== undefined && { audience: env.AUTH_JWT_AUDIENCE }),
  };
  return { auth: { mode, path, jwt } };
}
