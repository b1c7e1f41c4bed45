import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { SignJWT, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AccessRule, routeRule, rpcRule } from "../server/auth/access-rules.ts";
import { type Scope, scopes } from "../server/auth/caller.ts";
import { createToken, writeTokenFile } from "../server/auth/token-file.ts";
import { servedServices } from "../server/handler.ts";
import { createRoutes, type RouteOptions } from "../server/http/routes.ts";
import { bothHttp } from "./support/both-http.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { closeAll, openRaw } from "./support/sockets.ts";

// Every RPC and every route, as the descriptors and the routes list them, by every kind of token. A
// new one is in here by itself; without a rule in server/auth/access-rules.ts it fails.

const secret = "a secret of more than thirty-two bytes";
let folder: string;
let jwt: Gateway;
let token: Gateway;
let tokens: Awaited<ReturnType<typeof createTokens>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-access-"));
  tokens = await createTokens();
  const acting = rpcs.filter(({ rule }) => ["files", "desktop", "browser"].includes(rule ?? ""));
  const allow = acting.map(({ method }) => method.name).join(",");
  const env = { DATA_DIR: folder, AGENT_ALLOW: allow };
  jwt = await startGateway({ env: { ...env, AUTH_MODE: "jwt", AUTH_JWT_SECRET: secret } });
  token = await startGateway({ env: { ...env, AUTH_MODE: "token" } });
});
afterAll(async () => {
  await closeAll();
  await jwt.stop();
  await token.stop();
  await rm(folder, { recursive: true });
});

const others = (scope: Scope) => scopes.filter((each) => each !== scope);

/** Static tokens by what is wrong with them, for each scope. */
async function createTokens() {
  const make = (allowed: readonly Scope[], expiresAt?: Date) =>
    createToken({ device: "d", scopes: allowed, ...(expiresAt && { expiresAt }) });
  const good = make(scopes);
  const expired = make(scopes, new Date(Date.now() - 1000));
  const lacking = new Map(scopes.map((scope) => [scope, make(others(scope))]));
  const all = [good, expired, ...lacking.values()];
  await writeTokenFile(join(folder, "tokens.json"), {
    tokens: all.map(({ stored }) => stored),
    revokedJwts: ["revoked"],
  });
  return { good, expired, lacking };
}

const signed = (allowed: readonly Scope[], key = secret, expiry = "1 h", jti = "j") =>
  new SignJWT({ hardware_id: "d", scope: allowed.join(" ") })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(expiry)
    .setJti(jti)
    .sign(new TextEncoder().encode(key));

/** What is wrong with a token that is refused as such. */
const invalid: Readonly<Record<string, () => Promise<[Gateway, string | undefined]>>> = {
  "no token": async () => [jwt, undefined],
  "another scheme": async () => [jwt, `Basic ${await signed(scopes)}`],
  "expired (JWT)": async () => [jwt, await signed(scopes, secret, "-1 min")],
  "wrong signature (JWT)": async () => [jwt, await signed(scopes, `${secret}!`)],
  "alg none": async () => [
    jwt,
    new UnsecuredJWT({ hardware_id: "d", scope: scopes.join(" ") })
      .setExpirationTime("1 h")
      .encode(),
  ],
  "revoked (JWT)": async () => [jwt, await signed(scopes, secret, "1 h", "revoked")],
  "a static token where JWTs are asked for": async () => [jwt, tokens.good.token],
  "no static token": async () => [token, undefined],
  "expired (static)": async () => [token, tokens.expired.token],
  "wrong secret (static)": async () => [token, tokens.good.token.replace(/.$/, "!").slice(0, -1)],
  "a JWT where static tokens are asked for": async () => [token, await signed(scopes)],
};

const bearer = (text: string | undefined): Record<string, string> =>
  text === undefined ? {} : { authorization: text.startsWith("Basic") ? text : `Bearer ${text}` };

const methods = servedServices.flatMap((service): readonly DescMethod[] => service.methods);
const rpcs = methods.map((method) => ({
  method,
  path: `/${method.parent.typeName}/${method.name}`,
  rule: rpcRule(method.parent.typeName, method.name),
}));

/** Calls an RPC with Connect's JSON; a stream's status is in its last frame. */
async function call(gateway: Gateway, method: DescMethod, auth: string | undefined, message = {}) {
  const isUnary = method.methodKind === "unary";
  const json = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(isUnary ? 0 : 5);
  if (!isUnary) head.writeUInt32BE(json.length, 1);
  const response = await fetch(`${gateway.url}/${method.parent.typeName}/${method.name}`, {
    method: "POST",
    headers: {
      "content-type": isUnary ? "application/json" : "application/connect+json",
      ...bearer(auth),
    },
    body: Buffer.concat([head, json]),
    signal: AbortSignal.timeout(10_000),
  });
  const first = await firstText(response);
  const [code] = /"code":\s*"\w+"/.exec(first) ?? [];
  return { status: response.status, code: code?.split('"')[3] };
}

/** The body up to the first that says how the call ends; a stream may go on for ever. */
async function firstText(response: Response): Promise<string> {
  let text = "";
  for await (const piece of response.body ?? []) {
    text += Buffer.from(piece as Uint8Array).toString("latin1");
    if (text.includes('"')) break;
  }
  return text;
}

const options = {
  page: new Map(),
  conversation: {},
  callers: {},
  metrics: {},
  stores: {},
} as unknown as RouteOptions;
const routes = createRoutes(options).routes.filter(({ method }) => method !== "ALL");

/** Paths that need no token, as the documentation names them. */
const openPaths = [
  "/",
  "/health",
  "/livez",
  "/readyz",
  "/appcast.xml",
  "/appcast-beta.xml",
  "/manifest.json",
  "/downloads/:name",
  "/api/versions",
  "/api/manifests",
  "/api/artifacts",
];

describe("the rules", () => {
  it("are there for every served RPC", () => {
    expect(rpcs.filter(({ rule }) => rule === undefined).map(({ path }) => path)).toEqual([]);
    expect(rpcs.filter(({ rule }) => rule === "open").map(({ path }) => path)).toEqual([
      "/grpc.health.v1.Health/Check",
      "/grpc.health.v1.Health/Watch",
    ]);
  });

  it("open the routes that are meant to be open, and no other", () => {
    const open = routes.filter(({ path }) => routeRule(path) === "open");
    expect([...new Set(open.map(({ path }) => path))].sort()).toEqual([...openPaths].sort());
  });
});

const guarded = rpcs.filter(({ rule }) => rule !== "open");

describe.each(guarded.map((rpc) => [rpc.path, rpc] as const))("%s", (path, { method, rule }) => {
  it.each(Object.keys(invalid))("is UNAUTHENTICATED with %s", async (name) => {
    const [gateway, auth] = (await invalid[name]?.()) ?? [jwt, undefined];
    expect(await call(gateway, method, auth)).toEqual({ status: 401, code: "unauthenticated" });
  });

  it("is PERMISSION_DENIED without its scope", async () => {
    const scope = rule as Scope;
    const expected = { status: 403, code: "permission_denied" };
    expect(await call(jwt, method, await signed(others(scope)))).toEqual(expected);
    expect(await call(token, method, tokens.lacking.get(scope)?.token)).toEqual(expected);
  });

  it("is not refused with a good token", async () => {
    for (const [gateway, auth] of [
      [jwt, await signed(scopes)],
      [token, tokens.good.token],
    ] as const) {
      const { code } = await call(gateway, method, auth);
      expect(["unauthenticated", "permission_denied"]).not.toContain(code);
    }
  });

  it("answers in gRPC before the body came", async () => {
    const [, overHttp2] = bothHttp;
    const headers = { "content-type": "application/grpc" };
    const answer = await overHttp2?.ask(jwt.grpcPort, { path, headers });
    expect(answer?.headers["grpc-status"]).toBe(String(Code.Unauthenticated));
  });
});

const withDevice = guarded.filter(({ method }) =>
  method.input.fields.some(({ name }) => name === "hardware_id"),
);

describe.each(withDevice.map((rpc) => [rpc.path, rpc] as const))("%s", (_, { method }) => {
  it("is PERMISSION_DENIED for another device", async () => {
    const { code } = await call(jwt, method, await signed(scopes), { hardware_id: "other" });
    expect(code).toBe("permission_denied");
    const own = await call(jwt, method, await signed(scopes), { hardware_id: "d" });
    expect(own.code).not.toBe("permission_denied");
  });
});

const guardedRoutes = routes
  .filter(({ path }) => routeRule(path) !== "open")
  .map(({ method, path }) => [method, path, routeRule(path)] as const);

const post = (gateway: Gateway, path: string, auth: string | undefined, body = {}) =>
  fetch(`${gateway.httpUrl}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer(auth) },
    body: JSON.stringify(body),
  });
const ask = (gateway: Gateway, method: string, path: string, auth: string | undefined) =>
  method === "POST"
    ? post(gateway, path, auth)
    : fetch(`${gateway.httpUrl}${path}`, { method, headers: bearer(auth) });

describe.each(guardedRoutes)("%s %s", (method, path, rule) => {
  it.each(Object.keys(invalid))("is 401 with %s", async (name) => {
    const [gateway, auth] = (await invalid[name]?.()) ?? [jwt, undefined];
    const response = await ask(gateway, method, path, auth);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(await response.json()).toMatchObject({ error: { code: "unauthenticated" } });
  });

  it("is 403 without its scope", async () => {
    const scope = rule as Exclude<AccessRule, "open" | "token">;
    const response = await ask(jwt, method, path, await signed(others(scope)));
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error: { code: "permission_denied" } });
  });

  it("is not refused with a good token", async () => {
    const { status } = await ask(token, method, path, tokens.good.token);
    expect([401, 403]).not.toContain(status);
  });
});

describe("a path that is written in another way", () => {
  const ways = ["http://localhost/status", "/%73tatus", "/%6detrics", "http://localhost/metrics"];

  it.each(ways)("needs its scope all the same: %s", async (path) => {
    const request = async (auth: string) => {
      const client = await openRaw({ host: "127.0.0.1", port: jwt.httpPort });
      client.socket.write(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ${auth}\r\n\r\n`,
      );
      return (await client.closed()).split("\r\n", 1)[0];
    };
    expect(await request(await signed(["speak"]))).toBe("HTTP/1.1 403 Forbidden");
    expect(await request("none")).toBe("HTTP/1.1 401 Unauthorized");
    expect(await request(await signed(scopes))).toBe("HTTP/1.1 200 OK");
  });
});

describe("every other path", () => {
  it.each(["/nothing", "/v1", "/status/", "/streaming.StreamingService/Nope"])(
    "needs a token: %s",
    async (path) => {
      expect((await ask(jwt, "GET", path, undefined)).status).toBe(401);
      expect((await ask(jwt, "GET", path, await signed([]))).status).toBe(404);
    },
  );

  it.each(openPaths)("is open: %s", async (path) => {
    const { status } = await ask(jwt, "GET", path, undefined);
    expect([401, 403]).not.toContain(status);
  });

  it("keeps the status behind the page's address for those who may read it", async () => {
    const json = (auth: string) =>
      fetch(jwt.httpUrl, { headers: { accept: "application/json", ...bearer(auth) } });
    expect((await fetch(jwt.httpUrl, { headers: { accept: "application/json" } })).status).toBe(
      401,
    );
    expect((await json(await signed(others("status")))).status).toBe(403);
    expect((await json(await signed(["status"]))).status).toBe(200);
  });
});

describe("/v1/speak", () => {
  const turn = { prompt: "say: Hi.", hardware_id: "other" };

  it.each(["/v1/speak", "/v1/speak/tickets"])("is 403 for another device: %s", async (path) => {
    const response = await post(jwt, path, await signed(scopes), turn);
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({
      error: { code: "permission_denied", message: "hardware_id is not the device of this token" },
    });
  });

  it("takes the token's device where the request names none", async () => {
    const response = await post(jwt, "/v1/speak", await signed(["speak"]), {
      prompt: "Hi.",
    });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  });

  it("lets a ticket take the place of the token, which <audio> cannot send", async () => {
    const { url } = (await (
      await post(jwt, "/v1/speak/tickets", await signed(["speak"]), { prompt: "Hi." })
    ).json()) as { url: string };
    expect((await ask(jwt, "HEAD", url, undefined)).status).toBe(200);
    const response = await ask(jwt, "GET", url, undefined);
    expect(response.status).toBe(200);
    await response.arrayBuffer();
    expect((await ask(jwt, "GET", url, undefined)).status).toBe(404);
  });
});
