import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, describe, expect, it } from "vitest";
import { createJwtVerifier } from "./jwt.ts";

const secret = "a secret of more than thirty-two bytes";
const bytes = new TextEncoder().encode(secret);
const claims = { hardware_id: "d", scope: "speak unknown files" };
const sign = (payload: Record<string, unknown> = claims, header = { alg: "HS256" }) =>
  new SignJWT(payload).setProtectedHeader(header).setExpirationTime("1 h");

const keyed = (alg: string, kid: string) => ({ alg, kid });

let closing: AsyncDisposable | undefined;
afterEach(async () => {
  await closing?.[Symbol.asyncDispose]();
  closing = undefined;
});

/** Serves a JWK set, or answers with what else a server may say. */
async function serve(body: string, status = 200): Promise<string> {
  const server = createServer((_, response) => void response.writeHead(status).end(body));
  await once(server.listen(0, "127.0.0.1"), "listening");
  closing = {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe("createJwtVerifier with a secret", () => {
  const verify = createJwtVerifier({ keys: { secret }, issuer: "i", audience: "a" });
  const good = () => sign().setIssuer("i").setAudience("a");

  it("knows the device, the scopes that there are, and the id", async () => {
    const caller = await verify(await good().setJti("j").sign(bytes));
    expect({ ...caller, scopes: [...caller.scopes] }).toEqual({
      deviceId: "d",
      tokenId: "j",
      scopes: ["speak", "files"],
    });
  });

  it.each([
    ["expired", good().setExpirationTime("-10 s").sign(bytes), "the token has expired"],
    ["not valid yet", good().setNotBefore("1 h").sign(bytes), "the token is not valid"],
    ["signed with another secret", good().sign(new Uint8Array(32)), "the token is not valid"],
    ["of another issuer", good().setIssuer("x").sign(bytes), "the token is not valid"],
    ["for another audience", good().setAudience("x").sign(bytes), "the token is not valid"],
    [
      "without an expiry",
      new SignJWT(claims)
        .setProtectedHeader({ alg: "HS256" })
        .setIssuer("i")
        .setAudience("a")
        .sign(bytes),
      "the token is not valid",
    ],
    [
      "of no device",
      sign({ scope: "speak" }).setIssuer("i").setAudience("a").sign(bytes),
      "the token has no valid claim hardware_id",
    ],
    [
      "not signed",
      new UnsecuredJWT(claims).setIssuer("i").setAudience("a").setExpirationTime("1 h").encode(),
      "the token is not valid",
    ],
    ["no JWT", "x.y.z", "the token is not valid"],
  ])("refuses one that is %s", async (_, token, message) => {
    await expect(verify(await token)).rejects.toMatchObject({ kind: "unauthenticated", message });
  });
});

describe("createJwtVerifier with a JWK set", () => {
  it.each(["ES256", "RS256", "EdDSA"])("takes %s, and no HMAC with the public key", async (alg) => {
    const { publicKey, privateKey } = await generateKeyPair(alg);
    const jwk = { ...(await exportJWK(publicKey)), kid: "k", alg };
    const verify = createJwtVerifier({
      keys: { jwksUrl: await serve(JSON.stringify({ keys: [jwk] })) },
    });
    const token = await sign(claims, keyed(alg, "k")).sign(privateKey);
    expect(await verify(token)).toMatchObject({ deviceId: "d" });
    const forged = await sign(claims, keyed("HS256", "k")).sign(Buffer.from(JSON.stringify(jwk)));
    await expect(verify(forged)).rejects.toMatchObject({ kind: "unauthenticated" });
    const other = await generateKeyPair(alg);
    const unknown = await sign(claims, keyed(alg, "x")).sign(other.privateKey);
    await expect(verify(unknown)).rejects.toMatchObject({ kind: "unauthenticated" });
  });

  it.each([
    ["an error", "no", 500],
    ["no set of keys", "<html>", 200],
    ["another object", "{}", 200],
  ])("is unavailable while its server answers %s", async (_, body, status) => {
    const verify = createJwtVerifier({ keys: { jwksUrl: await serve(body, status) } });
    const { privateKey } = await generateKeyPair("ES256");
    const token = await sign(claims, { alg: "ES256" }).sign(privateKey);
    await expect(verify(token)).rejects.toMatchObject({
      kind: "unavailable",
      message: "the keys of AUTH_JWKS_URL cannot be read right now",
    });
  });
});
