import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createAuthenticator, parseBearer } from "./authenticator.ts";
import { AccessDenied, type Caller } from "./caller.ts";
import { createToken, type NewToken, readTokenFile, writeTokenFile } from "./token-file.ts";

let folder: string;
let path: string;
const errors: Error[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-tokens-"));
  path = join(folder, "data", "tokens.json");
  errors.length = 0;
});
afterEach(() => rm(folder, { recursive: true }));

const open = async () => {
  const onError = (error: Error) => void errors.push(error);
  const authenticator = createAuthenticator({ mode: "token", path, onError });
  await authenticator.start();
  return { ...authenticator, [Symbol.asyncDispose]: authenticator.stop };
};
const save = async (...news: readonly NewToken[]) => {
  const made = news.map(createToken);
  await writeTokenFile(path, { tokens: made.map(({ stored }) => stored), revokedJwts: [] });
  return made.map(({ token }) => token);
};
const device: NewToken = { device: "d", scopes: ["speak", "status"] };

describe("createAuthenticator", () => {
  it("knows a token's device and scopes", async () => {
    const [token] = await save(device);
    await using authenticator = await open();
    const caller = (await authenticator.authenticate(`Bearer ${token}`)) as Caller;
    expect(caller.deviceId).toBe("d");
    expect([...caller.scopes]).toEqual(["speak", "status"]);
    expect(authenticator.isValid(caller)).toBe(true);
  });

  it("refuses a token of which one character is another", async () => {
    const [token = ""] = await save(device);
    await using authenticator = await open();
    const other = token.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    expect(() => authenticator.authenticate(`Bearer ${other}`)).toThrow("the token is not valid");
  });

  it("refuses a token that has expired", async () => {
    const [token] = await save({ ...device, expiresAt: new Date(Date.now() - 1) });
    await using authenticator = await open();
    expect(() => authenticator.authenticate(`Bearer ${token}`)).toThrow("the token has expired");
  });

  it("starts without a file, and knows nobody", async () => {
    await using authenticator = await open();
    expect(() => authenticator.authenticate("Bearer x")).toThrow(AccessDenied);
  });

  it("does not start with a damaged file, and repeats nothing of it", async () => {
    await save(device);
    await writeFile(path, '{"tokens":[{"id":"secret"}]}');
    await expect(open()).rejects.toThrow(/^the file of tokens is damaged at tokens\.0\./);
    await writeFile(path, "secret");
    await expect(open()).rejects.toThrow(
      /^the file of tokens is damaged at the whole \((?!.*secret)/,
    );
  });

  it("notices a new and a revoked token, and keeps what it knows of a damaged file", async () => {
    const [token] = await save(device);
    await using authenticator = await open();
    const changed = () => new Promise<void>((resolve) => authenticator.onChange(resolve));
    const caller = (await authenticator.authenticate(`Bearer ${token}`)) as Caller;
    let next = changed();
    const [second] = await save({ device: "e", scopes: [] });
    await next;
    expect(authenticator.isValid(caller)).toBe(false);
    expect(() => authenticator.authenticate(`Bearer ${token}`)).toThrow("the token is not valid");
    expect(await authenticator.authenticate(`Bearer ${second}`)).toMatchObject({ deviceId: "e" });
    next = changed();
    await writeFile(path, "damaged");
    await expect.poll(() => errors.length, { timeout: 5000 }).toBe(1);
    expect(await authenticator.authenticate(`Bearer ${second}`)).toMatchObject({ deviceId: "e" });
    await rm(path);
    await next;
    expect(() => authenticator.authenticate(`Bearer ${second}`)).toThrow("the token is not valid");
  });
});

describe("createToken", () => {
  it("stores neither the token nor its secret", async () => {
    const { token, stored } = createToken(device);
    expect(token).toMatch(/^parley_[a-z2-7]{8}_[\w-]{43}$/);
    await writeTokenFile(path, { tokens: [stored], revokedJwts: [] });
    const read = await readTokenFile(path);
    expect(read.tokens).toEqual([stored]);
    expect(JSON.stringify(read)).not.toContain(token.split("_").at(-1));
  });
});

describe("parseBearer", () => {
  const tokens = fc.stringMatching(/^[\w.~+/-]{1,200}={0,2}$/);

  it("reads every token of RFC 6750, whatever the case of its scheme", () => {
    fc.assert(
      fc.property(tokens, fc.mixedCase(fc.constant("bearer")), (token, scheme) => {
        expect(parseBearer(`${scheme} ${token}`)).toBe(token);
      }),
    );
  });

  it("refuses everything else without repeating it, in linear time", () => {
    const texts = fc.oneof(
      fc.string({ unit: "binary", maxLength: 100 }),
      fc.string().map((text) => `Bearer ${text}`),
      tokens.map((token) => `Basic ${token}`),
      fc.constant(`Bearer ${" ".repeat(16_000)}!`),
      fc.constant(`Bearer ${"=".repeat(16_000)}!`),
      fc.constant(`Bearer ${"a".repeat(8193)}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        fc.pre(text.length > 8192 || !/^bearer +[\w.~+/-]+=*$/i.test(text.trim()));
        expect(() => parseBearer(text)).toThrow("authorization must be: Bearer TOKEN");
      }),
    );
    expect(() => parseBearer(undefined)).toThrow("a token is required");
  });
});
