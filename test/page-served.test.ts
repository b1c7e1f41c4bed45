import { readFileSync } from "node:fs";
import { request } from "node:http";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Gateway, startGateway } from "./support/gateway.ts";

let gateway: Gateway;
let script: string;

beforeAll(async () => {
  gateway = await startGateway();
  const index = await (await fetch(gateway.httpUrl)).text();
  script = /src="(\/assets\/[^"]+\.js)"/.exec(index)?.[1] ?? "";
});
afterAll(() => gateway.stop());

type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
};

/** `fetch` would decompress by itself. */
function get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  request(new URL(path, gateway.httpUrl), { headers }, (response) => {
    const pieces: Buffer[] = [];
    response.on("data", (piece: Buffer) => pieces.push(piece));
    response.on("end", () =>
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: Buffer.concat(pieces),
      }),
    );
  })
    .on("error", reject)
    .end();
  return promise;
}

describe("the page's files", () => {
  it.each([
    ["br", "gzip, deflate, br, zstd", brotliDecompressSync],
    ["gzip", "gzip;q=0.5, br;q=0", gunzipSync],
  ])("are compressed as %s where the browser takes it", async (encoding, accepts, unpack) => {
    const { headers, body } = await get(script, { "accept-encoding": accepts });
    expect(headers["content-encoding"]).toBe(encoding);
    expect(headers["vary"]).toContain("accept-encoding");
    const plain = readFileSync(new URL(`../web/dist${script}`, import.meta.url));
    expect(unpack(body).equals(plain)).toBe(true);
    expect(body.length).toBeLessThan(plain.length * 0.4);
  });

  it("come as they are where it takes nothing", async () => {
    const { headers, body } = await get(script);
    expect(headers["content-encoding"]).toBeUndefined();
    const plain = readFileSync(new URL(`../web/dist${script}`, import.meta.url));
    expect(body.equals(plain)).toBe(true);
  });

  it("are kept for a year with a hash in their name, and asked for again by ETag without", async () => {
    const asset = await get(script);
    expect(asset.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
    const page = await get("/", { accept: "text/html" });
    expect(page.headers["cache-control"]).toBe("no-cache");
    const etag = String(page.headers["etag"]);
    const again = await get("/", { accept: "text/html", "if-none-match": etag });
    expect(again.status).toBe(304);
    expect(again.body.length).toBe(0);
    expect((await get("/", { accept: "text/html", "if-none-match": '"old"' })).status).toBe(200);
  });

  it("let no text become HTML or a script, and use of the browser what the page needs", async () => {
    const { headers } = await get("/", { accept: "text/html" });
    const policy = String(headers["content-security-policy"]);
    expect(policy.split("; ")).toEqual(
      expect.arrayContaining([
        "default-src 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
      ]),
    );
    expect(policy).not.toContain("unsafe");
    const permissions = String(headers["permissions-policy"]);
    expect(permissions).toMatch(/microphone=\(self\)/);
    expect(permissions).toMatch(/display-capture=\(self\)/);
    expect(permissions).toMatch(/camera=\(\)/);
    expect(permissions).toMatch(/geolocation=\(\)/);
  });
});
