import {
  createHash,
  randomBytes,
  randomUUID,
  type ScryptOptions,
  scrypt,
  timingSafeEqual,
} from "node:crypto";
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

/** What tests set. */
type UserOptions = {
  readonly nowMs?: () => number;
  /** The cost of a new password's hash: 2 to the power of it. */
  readonly logRounds?: number;
};

/** Creates users. */
export function createUsers(
  storage: Pick<Storage, "call">,
  { nowMs = Date.now, logRounds = LOG_ROUNDS }: UserOptions = {},
): Users {
  // Apart: a user may be named like somebody's address.
  const ofAddresses = createAttempts(nowMs);
  const ofNames = createAttempts(nowMs);
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
      ofAddresses.note(credentials.address);
      const password = await hashPassword(credentials.password, logRounds);
      const user = { id: randomUUID(), name, createdAt: nowMs() };
      const isNew = await storage.call("addUser", { ...user, password }, signal);
      if (!isNew) throw new AlreadyExists("the user exists already");
      return await logIn(user, signal);
    },
    async logIn({ name, password, address }, signal) {
      // Counted before the password is looked at: many attempts at once are many attempts. The address
      // comes first: one that has none left cannot use up those of a name.
      ofAddresses.note(address);
      ofNames.note(nameOf(name));
      const user = await storage.call("findUser", { name: nameOf(name) }, signal);
      const isRight = await verifyPassword(password, user?.password ?? unknownOf(logRounds));
      if (!user || !isRight) return undefined;
      ofNames.forget(nameOf(name));
      // This one alone: by its own user, an address could try all others' without end.
      ofAddresses.giveBack(address);
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
const KEY_BYTES = 32;
const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);
const costOf = (logRounds: number) => ({
  N: 2 ** logRounds,
  r: 8,
  p: 1,
  maxmem: 64 * 1024 * 1024,
});

async function hashPassword(password: string, logRounds: number): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, KEY_BYTES, costOf(logRounds));
  return ["scrypt", logRounds, salt.toString("base64"), key.toString("base64")].join("$");
}

/** Stands for the hash of a user that nobody knows, and takes as long. No password has it. */
const unknownOf = (logRounds: number) => `scrypt$${logRounds}$AAAA$AAAA`;

async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [, logRounds = "", salt = "", key = ""] = stored.split("$");
  const expected = Buffer.from(key, "base64");
  const given = password.slice(0, MAX_PASSWORD + 1);
  const cost = costOf(Number(logRounds));
  const found = await derive(given, Buffer.from(salt, "base64"), KEY_BYTES, cost);
  return expected.length === found.length && timingSafeEqual(expected, found);
}

const MAX_ATTEMPTS = 10;
const ATTEMPTS_MS = 15 * 60_000;
/** Names, or addresses, that are remembered; the oldest go first. */
const MAX_KEYS = 10_000;

/** Bounds the attempts of each name, or of each address. */
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
    /** Takes an attempt back. */
    giveBack(key: string) {
      const entry = counts.get(key);
      if (entry && entry.count > 0) entry.count -= 1;
    },
    forget(key: string) {
      counts.delete(key);
    },
  };
}
