import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { type Scope, scopes } from "./caller.ts";

const storedToken = z.strictObject({
  id: z.string().regex(/^[a-z2-7]{8}$/),
  device: z.string().min(1),
  scopes: z.array(z.enum(scopes)),
  /** SHA-256 of the token, in hex. A token has 256 random bits, so it needs no slow hash. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().optional(),
});

const tokenFile = z.strictObject({
  tokens: z.array(storedToken),
  /** Ids (`jti`) of JWTs that are not valid any more. */
  revokedJwts: z.array(z.string().min(1)).default([]),
});

/** A static key as it is stored: not the token, but its hash. */
export type StoredToken = Readonly<z.output<typeof storedToken>>;

/** What the file of tokens holds. */
export type TokenFile = {
  readonly tokens: readonly StoredToken[];
  readonly revokedJwts: readonly string[];
};

/** Reads the file. Empty if it does not exist. Throws an error that names no token. */
export async function readTokenFile(path: string): Promise<TokenFile> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return '{"tokens":[]}';
    throw new Error(`the file of tokens cannot be read (${error.code})`);
  });
  const parsed = tokenFile.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join(".") || "the whole";
  throw new Error(`the file of tokens is damaged at ${place} (${issue?.message})`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Writes the file as a whole, for its owner alone: a reader sees the old or the new one. */
export async function writeTokenFile(path: string, file: TokenFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const scratch = `${path}.${process.pid}.tmp`;
  await writeFile(scratch, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, flush: true });
  await rename(scratch, path);
}

/** What a new token is for. */
export type NewToken = {
  readonly device: string;
  readonly scopes: readonly Scope[];
  /** When it expires. Absent: never. */
  readonly expiresAt?: Date;
};

/** A token and the form in which it is stored. The token itself is shown once and kept nowhere. */
export function createToken({ device, scopes: allowed, expiresAt }: NewToken): {
  readonly token: string;
  readonly stored: StoredToken;
} {
  const id = toBase32(randomBytes(5));
  // The prefix lets scanners for leaked secrets find it.
  const token = `parley_${id}_${randomBytes(32).toString("base64url")}`;
  const stored: StoredToken = {
    id,
    device,
    scopes: [...new Set(allowed)],
    sha256: hashOf(token),
    createdAt: new Date().toISOString(),
    ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
  };
  return { token, stored };
}

/** The hash under which a token is stored. */
export function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Five bytes in eight letters and digits, without those that look alike. */
function toBase32(bytes: Buffer): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  const bits = BigInt(`0x${bytes.toString("hex")}`);
  const at = (index: number) => Number((bits >> BigInt(35 - 5 * index)) & 31n);
  return Array.from({ length: 8 }, (_, index) => alphabet[at(index)]).join("");
}
