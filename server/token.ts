// Makes, lists and revokes tokens: `npm run token -- create --device ID --scope speak`.
import { parseArgs } from "node:util";
import { type Scope, scopes } from "./auth/caller.ts";
import { createToken, readTokenFile, type StoredToken, writeTokenFile } from "./auth/token-file.ts";
import { tokenPath } from "./config/auth-config.ts";
import { InvalidConfig, readConfig } from "./config/config.ts";
import { parseDeviceId } from "./conversation/sessions.ts";

const usage = `Usage:
  npm run token -- create --device ID [--scope SCOPE …] [--days N]
      Prints a new token, alone on the last line. It is shown this once.
  npm run token -- list
      Prints each token's id, device, scopes and expiry.
  npm run token -- revoke ID …
      Revokes tokens. Their streams end within seconds.
  npm run token -- revoke --jwt JTI …
      The same for JWTs, by their claim jti.

Scopes: ${scopes.join(", ")}; speak if none is named.
Tokens are kept as hashes in tokens.json under DATA_DIR. A running gateway notices changes by itself.
`;

const options = {
  device: { type: "string" },
  scope: { type: "string", multiple: true },
  days: { type: "string" },
  jwt: { type: "string", multiple: true },
  help: { type: "boolean" },
} as const;

type Arguments = ReturnType<typeof parseArguments>;

function parseArguments(args: readonly string[]) {
  return parseArgs({ args: [...args], options, allowPositionals: true });
}

/** A mistake of the caller; its message says what to change. */
class UsageError extends Error {}

async function run({ values, positionals: [command = "", ...ids] }: Arguments): Promise<string> {
  if (values.help || command === "") return usage;
  const path = tokenPath(readConfig().dataDir);
  if (command === "create") return await create(path, values);
  if (command === "list") return (await readTokenFile(path)).tokens.map(describe).join("");
  if (command === "revoke") return await revoke(path, ids, values.jwt ?? []);
  throw new UsageError(`there is no command ${command}\n\n${usage}`);
}

async function create(path: string, values: Arguments["values"]): Promise<string> {
  if (values.device === undefined) throw new UsageError("--device ID is required");
  const file = await readTokenFile(path);
  const { token, stored } = createToken({
    device: parseDeviceId(values.device),
    scopes: parseScopes(values.scope ?? ["speak"]),
    ...(values.days !== undefined && { expiresAt: parseDays(values.days) }),
  });
  await writeTokenFile(path, { ...file, tokens: [...file.tokens, stored] });
  return `${describe(stored)}${token}\n`;
}

function parseScopes(texts: readonly string[]): readonly Scope[] {
  const names = texts.flatMap((text) => text.split(",")).map((name) => name.trim());
  return names.map((name) => {
    const scope = scopes.find((each) => each === name);
    if (scope === undefined) {
      throw new UsageError(`--scope ${name}: must be one of ${scopes.join(", ")}`);
    }
    return scope;
  });
}

function parseDays(text: string): Date {
  const days = Number(text);
  if (!(days > 0 && days <= 36_500)) throw new UsageError("--days must be more than 0");
  return new Date(Date.now() + days * 86_400_000);
}

async function revoke(
  path: string,
  ids: readonly string[],
  jwts: readonly string[],
): Promise<string> {
  if (ids.length + jwts.length === 0) throw new UsageError("name the tokens: revoke ID");
  const file = await readTokenFile(path);
  const unknown = ids.filter((id) => !file.tokens.some((token) => token.id === id));
  if (unknown.length > 0) throw new UsageError(`there is no token ${unknown.join(", ")}`);
  await writeTokenFile(path, {
    tokens: file.tokens.filter(({ id }) => !ids.includes(id)),
    revokedJwts: [...new Set([...file.revokedJwts, ...jwts])],
  });
  return `revoked ${[...ids, ...jwts].join(", ")}\n`;
}

function describe({ id, device, scopes: allowed, expiresAt }: StoredToken): string {
  const expiry = expiresAt === undefined ? "never expires" : `expires ${expiresAt}`;
  return `${id}  device ${device}  scopes ${allowed.join(",")}  ${expiry}\n`;
}

try {
  process.stdout.write(await run(parseArguments(process.argv.slice(2))));
} catch (error) {
  const { message } = error as Error;
  const text = error instanceof InvalidConfig ? `Invalid settings:\n${message}` : message;
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}
