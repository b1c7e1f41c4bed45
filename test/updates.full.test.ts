import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  addDelta,
  addRelease,
  type NewFile,
  type NewRelease,
} from "../server/updates/add-release.ts";
import { publicKeyOf, sign } from "../server/updates/signing.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { closeAll, openRaw } from "./support/sockets.ts";

const keys = generateKeyPairSync("ed25519");
const others = generateKeyPairSync("ed25519");
const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));

let folder: string;
let releases: string;
let gateway: Gateway;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-updates-"));
  releases = join(folder, "updates");
  await writeFile(join(folder, "app-1.0.0.dmg"), bytes);
  gateway = await startGateway({
    env: { DATA_DIR: folder, UPDATE_URL: "https://updates.example/", AUTH_MODE: "token" },
  });
});
afterEach(async () => {
  await closeAll();
  await gateway.stop();
  await rm(folder, { recursive: true });
});

const newFile = (more: Partial<NewFile> = {}): NewFile => ({
  path: join(folder, "app-1.0.0.dmg"),
  signing: { key: keys.privateKey },
  ...more,
});
const newRelease = (more: Partial<NewRelease> = {}): NewRelease => ({
  version: "1.0.0",
  build: 10_000,
  date: new Date("2026-01-02T03:04:05Z"),
  channel: "stable",
  critical: false,
  autoInstall: false,
  arch: "universal",
  minOs: "12.0.0",
  ...more,
});
const add = (file: Partial<NewFile> = {}, release: Partial<NewRelease> = {}) =>
  addRelease(releases, newFile(file), newRelease(release));
const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
  fetch(`${gateway.httpUrl}${path}`, { method, headers });
const json = async (path: string) => (await get(path)).json() as Promise<Record<string, unknown>>;
/** The feed once it shows what was published: it is looked at once a second at most. */
const feedWith = async (text: string, path = "/appcast.xml") => {
  await expect
    .poll(async () => (await get(path)).text(), { timeout: 5000, interval: 100 })
    .toContain(text);
  return (await get(path)).text();
};

describe("the update feed", () => {
  it("is empty where there is no release, and needs no token", async () => {
    const response = await get("/appcast.xml");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/rss+xml; charset=utf-8");
    expect(await response.text()).not.toContain("<item>");
    expect(await json("/api/versions")).toEqual({ versions: [] });
    expect(await json("/api/manifests")).toEqual({ manifests: [] });
    expect(await json("/api/artifacts")).toEqual({ artifacts: [] });
    expect((await get("/manifest.json")).status).toBe(404);
    expect((await get("/downloads/app-1.0.0.dmg")).status).toBe(404);
  });

  it("shows a release that was published meanwhile, and the manifest that clients expect", async () => {
    await get("/appcast.xml");
    await add();
    await feedWith("<sparkle:version>10000</sparkle:version>");
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const ed25519 = sign(bytes, keys.privateKey);
    expect(await json("/manifest.json")).toEqual({
      version: "1.0.0",
      build: 10_000,
      release_date: "2026-01-02T03:04:05.000Z",
      channel: "stable",
      critical: false,
      auto_install: false,
      artifact: {
        type: "dmg",
        url: "https://updates.example/downloads/app-1.0.0.dmg",
        size: bytes.length,
        sha256,
        arch: "universal",
        min_os: "12.0.0",
        ed25519,
      },
    });
    expect(await json("/api/versions")).toMatchObject({ versions: [{ build: 10_000 }] });
    expect(await json("/api/artifacts")).toMatchObject({
      artifacts: [{ name: "app-1.0.0.dmg", sha256 }],
    });
  });

  it("keeps betas apart: named in the one feed, without a channel in the other", async () => {
    await add({}, { version: "1.0.0" });
    await add({ name: "b.dmg" }, { version: "1.1.0", build: 10_100, channel: "beta" });
    await add({ name: "a.dmg" }, { version: "1.2.0", build: 10_200, channel: "alpha" });
    const all = await feedWith("a.dmg");
    expect(all.match(/<sparkle:channel>\w+/g)).toEqual([
      "<sparkle:channel>alpha",
      "<sparkle:channel>beta",
    ]);
    const beta = await feedWith("b.dmg", "/appcast-beta.xml");
    expect(beta).not.toMatch(/a\.dmg|sparkle:channel/);
    expect(await json("/manifest.json")).toMatchObject({ version: "1.0.0" });
  });

  it("stays the same, byte for byte, and is not sent twice", async () => {
    await add();
    await feedWith("10000");
    const first = await get("/appcast.xml");
    const etag = first.headers.get("etag") ?? "";
    const text = await first.text();
    expect(await (await get("/appcast.xml")).text()).toBe(text);
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const again = await get("/appcast.xml", { "if-none-match": tag });
      expect([again.status, await again.text()]).toEqual([304, ""]);
    }
    expect((await get("/appcast.xml", { "if-none-match": '"x"' })).status).toBe(200);
    await add({ name: "b.dmg" }, { version: "1.0.1", build: 10_001 });
    await feedWith("10001");
    expect((await get("/appcast.xml", { "if-none-match": etag })).status).toBe(200);
  });

  it("is served exactly as signed where the folder has a signed one", async () => {
    await add();
    const signed = `${await feedWith("10000")}<!-- sparkle-signatures:\nedSignature: x\n-->\r\n`;
    await writeFile(join(releases, "appcast.xml"), signed);
    expect(await feedWith("sparkle-signatures")).toBe(signed);
    expect(await (await get("/appcast-beta.xml")).text()).not.toContain("sparkle-signatures");
  });

  it("serves the other releases where a manifest is damaged", async () => {
    await add();
    await writeFile(join(releases, "10001.json"), '{"version":');
    await feedWith("10000");
  });
});

describe("/downloads/", () => {
  const path = "/downloads/app-1.0.0.dmg";
  beforeEach(async () => {
    await add();
  });
  const bodyOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

  it("sends the file with its length, type and entity tag, and HEAD without it", async () => {
    const response = await get(path);
    const tag = `"${createHash("sha256").update(bytes).digest("hex")}"`;
    const headers = {
      "content-length": String(bytes.length),
      "content-type": "application/x-apple-diskimage",
      "accept-ranges": "bytes",
      etag: tag,
    };
    expect(Object.fromEntries(response.headers)).toMatchObject(headers);
    expect((await bodyOf(response)).equals(bytes)).toBe(true);
    const head = await get(path, {}, "HEAD");
    expect(Object.fromEntries(head.headers)).toMatchObject(headers);
    expect((await bodyOf(head)).length).toBe(0);
    expect((await get(path, { "if-none-match": tag })).status).toBe(304);
  });

  it("resumes from where a client stopped, if the file is still the same", async () => {
    const { headers } = await get(path, {}, "HEAD");
    const etag = headers.get("etag") ?? "";
    const rest = await get(path, { range: "bytes=100000-", "if-range": etag });
    expect(rest.status).toBe(206);
    expect(rest.headers.get("content-range")).toBe(`bytes 100000-299999/${bytes.length}`);
    expect((await bodyOf(rest)).equals(bytes.subarray(100_000))).toBe(true);
    const other = await get(path, { range: "bytes=100000-", "if-range": '"other"' });
    expect(other.status).toBe(200);
    expect((await bodyOf(other)).equals(bytes)).toBe(true);
  });

  it("answers a range that is not in the file with 416 and its length", async () => {
    const response = await get(path, { range: "bytes=300000-" });
    expect(response.status).toBe(416);
    expect(response.headers.get("content-range")).toBe(`bytes */${bytes.length}`);
  });

  it.each([
    "/downloads/..%2fpublic-key",
    "/downloads/%2e%2e%2fapp-1.0.0.dmg",
    "/downloads/public-key",
    "/downloads/10000.json",
    "/downloads/",
    "/downloads/app-1.0.0.dmg/",
    "/downloads/app-1.0.0.dmg%00",
  ])("serves nothing but what a manifest names: %s", async (other) => {
    const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
    client.socket.write(`GET ${other} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect(await client.closed()).toMatch(/^HTTP\/1.1 (404|401|400) /);
  });

  it("follows no link, and serves no half file", async () => {
    const stored = join(releases, "app-1.0.0.dmg");
    await truncate(stored, 1000);
    expect((await get(path)).status).toBe(404);
    await rm(stored);
    await symlink(join(folder, "app-1.0.0.dmg"), stored);
    expect((await get(path)).status).toBe(404);
  });

  it.each([
    [path, "200"],
    ["/appcast.xml", "403"],
  ])("may be followed from another site, as the feed may not: %s", async (target, status) => {
    const client = await openRaw({ host: "127.0.0.1", port: gateway.httpPort });
    client.socket.write(
      `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n`,
    );
    expect(await client.closed()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });
});

describe("addRelease", () => {
  const signature = () => sign(bytes, keys.privateKey);

  it.each([
    ["a wrong length", { length: 299_999 }, {}, "the file has 300000 bytes, not 299999"],
    ["a name with a path", { name: "../x.dmg" }, {}, "the name must be a file's name"],
    ["a name of a manifest", { name: "x.json" }, {}, "the name must not end in .json"],
    ["a build that exists", { name: "x.dmg" }, {}, "build 10000 is published already"],
    ["a lower build", { name: "x.dmg" }, { build: 9999 }, "build 9999 is below build 10000"],
    [
      "another key",
      { signing: { key: others.privateKey } },
      { build: 10_001 },
      "the key is not that of the other releases",
    ],
    [
      "a signature of other bytes",
      { signing: { signature: sign(Buffer.from("x"), keys.privateKey) } },
      { build: 10_001 },
      "the signature is not that of this file",
    ],
    [
      "a signature by another key",
      { signing: { signature: sign(bytes, others.privateKey) } },
      { build: 10_001 },
      "the signature is not that of this file",
    ],
    [
      "no signature",
      { signing: { signature: "" } },
      { build: 10_001 },
      "the signature is not that of this file",
    ],
    ["no version", { name: "x.dmg" }, { build: 10_001, version: "one" }, "version"],
    ["half a system version", { name: "x.dmg" }, { build: 10_001, minOs: "12" }, "three parts"],
  ] as const)("refuses %s, and publishes nothing", async (_, file, release, problem) => {
    await add();
    const before = await feedWith("10000");
    await expect(add(file, release)).rejects.toThrow(problem);
    expect(await (await get("/appcast.xml")).text()).toBe(before);
  });

  it("refuses other bytes under a name that is published", async () => {
    await add();
    await writeFile(join(folder, "app-1.0.0.dmg"), "other");
    await expect(add({}, { build: 10_001 })).rejects.toThrow("is published with other bytes");
  });

  it("takes a signature that was made elsewhere, once it knows the public key", async () => {
    const elsewhere = { signing: { signature: signature() } };
    await expect(add(elsewhere)).rejects.toThrow("--public-key is needed");
    await add({ ...elsewhere, publicKey: keys.publicKey });
    expect((await readFile(join(releases, "public-key"), "utf8")).trim()).toBe(
      publicKeyOf(keys.publicKey),
    );
    await add({ ...elsewhere, name: "b.dmg" }, { build: 10_001 });
  });

  it("takes a lower build of another channel: a fix of stable beside a newer beta", async () => {
    await add({ name: "b.dmg" }, { version: "1.1.0", build: 10_100, channel: "beta" });
    expect((await add({}, { build: 10_001 })).channel).toBe("stable");
  });
});

describe("addDelta", () => {
  it("adds a delta to its release", async () => {
    await add();
    await add({ name: "new.dmg" }, { version: "1.0.1", build: 10_001 });
    const builds = { build: 10_001, fromBuild: 10_000 };
    await addDelta(releases, newFile({ name: "d.delta" }), builds);
    expect(await feedWith("deltaFrom")).toContain('sparkle:deltaFrom="10000"');
    expect((await get("/downloads/d.delta")).status).toBe(200);
    const wrong = { build: 10_000, fromBuild: 10_001 };
    await expect(addDelta(releases, newFile({ name: "e.delta" }), wrong)).rejects.toThrow("below");
  });
});
