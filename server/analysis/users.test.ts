import { describe, expect, it } from "vitest";
import type { Storage } from "../storage/storage-contract.ts";
import type { UserRow } from "../storage/user-calls.ts";
import { createUsers } from "./users.ts";

const signal = new AbortController().signal;
const credentials = { name: "Listener", password: "long enough", address: "192.0.2.1" };

/** Users on a clock that the test moves; rows in memory. */
function startUsers(cost: { logRounds?: number } = { logRounds: 1 }) {
  const rows = new Map<string, UserRow>();
  const logins = new Map<string, { userId: string; expiresAt: number }>();
  let nowMs = 1_000_000;
  const call = async (name: string, args: Record<string, never>) => {
    if (name === "addUser") {
      const row = args as unknown as UserRow;
      const isNew = !rows.has(row.name);
      if (isNew) rows.set(row.name, row);
      return isNew;
    }
    if (name === "findUser") return rows.get(args["name"] ?? "");
    if (name === "addLogin") return void logins.set(args["tokenHash"] ?? "", args as never);
    const login = logins.get(args["tokenHash"] ?? "");
    return login && login.expiresAt > nowMs
      ? [...rows.values()].find(({ id }) => id === login.userId)
      : undefined;
  };
  const options = { nowMs: () => nowMs, ...cost };
  const users = createUsers({ call: call as unknown as Storage["call"] }, options);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { users, rows, logins, pass };
}

describe("createUsers", () => {
  it("keeps neither the password nor the token, but their hashes", async () => {
    const { users, rows, logins } = startUsers({});
    const { token } = await users.register(credentials, signal);
    const kept = JSON.stringify([...rows.values(), ...logins.keys()]);
    expect(kept).not.toContain(credentials.password);
    expect(kept).not.toContain(token);
    expect(rows.get("listener")?.password).toMatch(/^scrypt\$15\$/);
  });

  it("knows a token for a day", async () => {
    const { users, pass } = startUsers();
    const { token, user } = await users.register(credentials, signal);
    pass(24 * 3600_000 - 1);
    expect(await users.find(token, signal)).toMatchObject({ id: user.id });
    pass(1);
    expect(await users.find(token, signal)).toBeUndefined();
  });

  it("lets a name be tried again after 15 minutes", async () => {
    const { users, pass } = startUsers();
    await users.register(credentials, signal);
    const attempt = (address: string) =>
      users.logIn({ ...credentials, password: "a wrong one", address }, signal);
    for (let at = 0; at < 10; at++) expect(await attempt(`192.0.2.${at + 10}`)).toBeUndefined();
    await expect(attempt("192.0.2.99")).rejects.toThrow("too many attempts");
    pass(15 * 60_000);
    expect(await users.logIn(credentials, signal)).toMatchObject({ user: { name: "listener" } });
  });

  it("counts no login that succeeds, and forgets what its name failed before", async () => {
    const { users } = startUsers();
    await users.register(credentials, signal);
    for (let at = 0; at < 11; at++) expect(await users.logIn(credentials, signal)).toBeDefined();
    const attempt = (address: string) =>
      users.logIn({ ...credentials, password: "a wrong one", address }, signal);
    for (let at = 0; at < 9; at++) await attempt("192.0.2.2");
    expect(await users.logIn(credentials, signal)).toBeDefined();
    for (let at = 0; at < 10; at++) expect(await attempt(`192.0.2.${at + 10}`)).toBeUndefined();
  });

  it("counts on for an address that logs in as its own user in between", async () => {
    const { users } = startUsers();
    await users.register(credentials, signal);
    const others = Array.from({ length: 9 }, (_, at) => ({ ...credentials, name: `other${at}` }));
    for (const other of others) {
      expect(await users.logIn(other, signal)).toBeUndefined();
      if (other.name < "other8") expect(await users.logIn(credentials, signal)).toBeDefined();
    }
    await expect(users.logIn({ ...credentials, name: "another" }, signal)).rejects.toThrow(
      "too many attempts",
    );
  });

  it("counts a name that is an address for the name alone", async () => {
    const { users } = startUsers();
    await users.register(credentials, signal);
    for (let at = 0; at < 10; at++) {
      const attempt = { ...credentials, name: credentials.address, address: `192.0.2.${at + 10}` };
      expect(await users.logIn(attempt, signal)).toBeUndefined();
    }
    expect(await users.logIn(credentials, signal)).toBeDefined();
  });

  it("does not let an address that has no attempts left use up those of a name", async () => {
    const { users } = startUsers();
    await users.register(credentials, signal);
    const address = "192.0.2.2";
    const guess = (name: string) =>
      users.logIn({ name, password: "a wrong one", address }, signal).catch(() => undefined);
    for (let at = 0; at < 10; at++) await guess(`other${at}`);
    for (let at = 0; at < 10; at++) await guess(credentials.name);
    expect(await users.logIn(credentials, signal)).toBeDefined();
  });
});
