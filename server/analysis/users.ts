import { createHash, randomBytes, randomUUID, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { AlreadyExists, InvalidRequest, LimitExceeded } from "../core/errors.ts";
import type { Storage } from "../storage/storage-contract.ts";
import type { UserRow } from "../storage/user-calls.ts";

/** A user of the front end that logs in by itself. Its id is the id of its device. */
export type User = Pick<UserRow, "id" | "name" | "createdAt">;

/** A user who has logged in, and the token that says so. */
export type Login = { readonly user: User; readonly token: string };

/** What a user logs in with. */
type Credentials = {
  /** A user name or a mail address; letters count alike in either case. */
  readonly name: string;
  readonly password: string;
  /** Where the attempt comes from: failures are counted for it as well as for the name. */
  readonly address: string;
};

/** Users, their passwords and tokens. Methods reject with a `StorageError` if the database fails. */
export type Users = {
  /** Throws `AlreadyExists` if the name is taken, `InvalidRequest`, and `LimitExceeded`. */
  register(credentials: Credentials, signal: AbortSignal): Promise<Login>;
  /** Undefined if name or password are wrong. Throws `LimitExceeded` after too many of those. */
  logIn(credentials: Credentials, signal: AbortSignal): Promise<Login | undefined>;
  /** The user of a token. Undefined if it is unknown or has expired. */
  find(token: string, signal: AbortSignal): Promise<User | undefined>;
};

const LOGIN_MS = 24 * 3600 * 1000;
const MAX_NAME = 254;
const MIN_PASSWORD = 8;
const MAX_PASSWORD = 128;

/** Creates users. */
export function createUsers(storage: Pick<Storage, "call">, nowMs: () => number = Date.now): Users {
  const attempts = createAttempts(nowMs);
  const logIn = async ({ id, name, createdAt }: User, signal: AbortSignal): Promise<Login> => {
    const token = randomBytes(32).toString("base64url");
    const now = nowMs();
    const login = { tokenHash: hashOf(token), userId: id, expiresAt: now + LOGIN_MS, now };
    await storage.call("addLogin", login, signal);
    return { user: { id, name, createdAt }, token };
  };
  return {
    async register(credentials, signal) {
      const name = checkName(credentials.name);
      checkPassword(credentials.password);
      // Whoever registers can learn which names are taken, and can only do so slowly.
      attempts.note(credentials.address);
      const password = await hashPassword(credentials.password);
      const user = { id: randomUUID(), name, createdAt: nowMs() };
      const isNew = await storage.call("addUser", { ...user, password }, signal);
      if (!isNew) throw new AlreadyExists("the user exists already");
      return await logIn(user, signal);
    },
    async logIn({ name, password, address }, signal) {
      const keys = [nameOf(name), address];
      // Counted before the password is looked at: many attempts at once are many attempts.
      for (const key of keys) attempts.note(key);
      const user = await storage.call("findUser", { name: nameOf(name) }, signal);
      const isRight = await verifyPassword(password, user?.password);
      if (!user || !isRight) return undefined;
      for (const key of keys) attempts.forget(key);
      return await logIn(user, signal);
    },
    find: (token, signal) =>
      storage.call("findLogin", { tokenHash: hashOf(token), now: nowMs() }, signal),
  };
}

function nameOf(name: string): string {
  return name.trim().toLowerCase();
}

function checkName(given: string): string {
  const name = nameOf(given);
  if (name.length < 3 || name.length > MAX_NAME || /[\p{Cc}\p{Cf}\s]/u.test(name)) {
    throw new InvalidRequest("username", `must have 3 to ${MAX_NAME} characters, and no spaces`);
  }
  return name;
}

function checkPassword(password: string): void {
  if (password.length < MIN_PASSWORD || password.length > MAX_PASSWORD) {
    const rule = `must have ${MIN_PASSWORD} to ${MAX_PASSWORD} characters`;
    throw new InvalidRequest("password", rule);
  }
}

/** A token has 256 random bits: a fast hash is enough. */
function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** The costs that OWASP names: 2^15 rounds of 8 blocks, 32 MiB. */
const LOG_ROUNDS = 15;
const options = { N: 2 ** LOG_ROUNDS, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const KEY_BYTES = 32;
const derive = promisify<string, Buffer, number, typeof options, Buffer>(scrypt);

async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, KEY_BYTES, options);
  return ["scrypt", LOG_ROUNDS, salt.toString("base64"), key.toString("base64")].join("$");
}

/** Takes as long for an unknown user as for a known one. */
async function verifyPassword(password: string, stored: string | undefined): Promise<boolean> {
  const [, , salt = "", key = ""] = (stored ?? `scrypt$${LOG_ROUNDS}$AAAA$AAAA`).split("$");
  const expected = Buffer.from(key, "base64");
  const given = password.slice(0, MAX_PASSWORD + 1);
  const found = await derive(given, Buffer.from(salt, "base64"), KEY_BYTES, options);
  return expected.length === found.length && timingSafeEqual(expected, found);
}

const MAX_ATTEMPTS = 10;
const ATTEMPTS_MS = 15 * 60_000;
/** Names and addresses that are remembered; the oldest go first. */
const MAX_KEYS = 10_000;

/** Bounds the attempts of a name, and of an address. */
function createAttempts(nowMs: () => number) {
  const counts = new Map<string, { count: number; readonly untilMs: number }>();
  return {
    /** Counts an attempt. Throws `LimitExceeded` if there were too many. */
    note(key: string) {
      const now = nowMs();
      const known = counts.get(key);
      const entry = known && known.untilMs > now ? known : { count: 0, untilMs: now + ATTEMPTS_MS };
      if (entry.count >= MAX_ATTEMPTS) {
        throw new LimitExceeded(
          "too many attempts; try again later",
          "login_attempts",
          entry.untilMs - now,
        );
      }
      entry.count += 1;
      counts.delete(key);
      counts.set(key, entry);
      const [oldest] = counts.keys();
      if (counts.size > MAX_KEYS && oldest !== undefined) counts.delete(oldest);
    },
    forget(key: string) {
      counts.delete(key);
    },
  };
}
