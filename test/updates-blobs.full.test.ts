import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openBlobStore } from "../server/storage/blobs/open-blob-store.ts";
import { createReleaseMirror, runMirror } from "../server/updates/release-mirror.ts";
import { startGateway } from "./support/gateway.ts";
import { type ObjectStore, startObjectStore } from "./support/s3.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "parley-release-blobs-"));
const { privateKey } = generateKeyPairSync("ed25519");
const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, at) => at % 249));
const { signal } = new AbortController();
let s3: ObjectStore;

beforeAll(async () => {
  s3 = await startObjectStore(join(folder, "s3rver"));
  writeFileSync(join(folder, "key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(join(folder, "app.dmg"), bytes);
});
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Two folders and the areas of one store between them. */
function openMirrors(name: string) {
  const location = { type: "s3", ...s3.location, prefix: name } as const;
  const open = (area: string) => openBlobStore(location, { area });
  const [entries, files] = [open("entries"), open("files")];
  const mirrorOf = (own: string) => {
    const path = join(folder, name, own);
    return { path, ...createReleaseMirror({ folder: path, entries, files }) };
  };
  return { entries, files, mirrorOf };
}

const put = (path: string, name: string, content: string) => {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, name), content);
};
const read = (path: string, name: string) =>
  existsSync(join(path, name)) ? readFileSync(join(path, name), "utf8") : undefined;

describe("createReleaseMirror", () => {
  it("brings a folder to another machine, with what is new and what is gone", async () => {
    const { mirrorOf } = openMirrors("both");
    const [here, there] = [mirrorOf("here"), mirrorOf("there")];
    put(here.path, "app.dmg", "first");
    put(here.path, "10000.json", "{}");
    await here.push(signal);
    await there.pull(signal);
    expect([read(there.path, "app.dmg"), read(there.path, "10000.json")]).toEqual(["first", "{}"]);
    put(here.path, "10000.json", '{"critical":true}');
    put(here.path, "appcast.xml", "<rss/>");
    rmSync(join(here.path, "app.dmg"));
    await here.push(signal);
    await there.pull(signal);
    expect(["app.dmg", "10000.json", "appcast.xml"].map((name) => read(there.path, name))).toEqual([
      undefined,
      '{"critical":true}',
      "<rss/>",
    ]);
  });

  it("keeps no object that nothing names", async () => {
    const { mirrorOf, files, entries } = openMirrors("sweep");
    const { path, push } = mirrorOf("here");
    put(path, "a.zip", "one");
    put(path, "b.zip", "one");
    await push(signal);
    put(path, "a.zip", "two");
    await push(signal);
    rmSync(join(path, "b.zip"));
    await push(signal);
    expect(await Array.fromAsync(entries.list(signal))).toHaveLength(1);
    const { id } = (await Array.fromAsync(files.list(signal)))[0] ?? {};
    expect(id).toBe(createHash("sha256").update("two").digest("hex"));
  });

  it("takes no name that is a path, and nothing that is no entry", async () => {
    const { mirrorOf, entries, files } = openMirrors("hostile");
    const sha256 = await files.put(Buffer.from("evil"), signal);
    const names = ["../evil", "/etc/evil", ".evil", "a/b"];
    for (const name of names)
      await entries.put(Buffer.from(JSON.stringify({ name, sha256, at: 1 })), signal);
    await entries.put(Buffer.from("not JSON"), signal);
    const there = mirrorOf("there");
    await there.pull(signal);
    expect(names.map((name) => existsSync(join(there.path, name)))).toEqual(names.map(() => false));
  });

  it("pulls again after the store was down, and says once that it is", async () => {
    const { mirrorOf } = openMirrors("down");
    const errors: string[] = [];
    await s3.play("error-500");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const mirror = runMirror(mirrorOf("there"), ({ message }) => errors.push(message));
    try {
      mirror.start();
      await vi.waitFor(() => expect(mirror.problem()).toBeDefined(), 10_000);
      await s3.play("none");
      await vi.advanceTimersByTimeAsync(15_000);
      vi.useRealTimers();
      await vi.waitFor(() => expect(mirror.problem()).toBeUndefined(), 10_000);
      expect(errors).toHaveLength(1);
    } finally {
      vi.useRealTimers();
      await mirror.stop();
    }
  });
});

describe("npm run release with UPDATE_SOURCE=blobs", () => {
  const env = () => ({ ...s3.env, UPDATE_SOURCE: "blobs" });
  // The store runs in this process, so it must not wait for the program.
  const release = async (...args: readonly string[]) => {
    const child = spawn(process.execPath, [join(root, "server/release.ts"), ...args], {
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", ...env() },
    });
    const closed = once(child, "close");
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await closed;
    return { status: child.exitCode, text: out + error };
  };

  it("publishes to the store, from which a gateway serves", async () => {
    const added = await release("add", "app.dmg", "--version", "1.2.3", "--key", "key.pem");
    expect(added).toMatchObject({ status: 0, text: expect.stringContaining("in the blob store") });
    expect((await release("list")).text).toBe("10203  1.2.3  stable  app.dmg\n");
    await using gateway = await startGateway({
      env: { ...env(), DATA_DIR: join(folder, "gateway") },
    });
    await vi.waitFor(
      async () => {
        const response = await fetch(`${gateway.httpUrl}/manifest.json`);
        expect(response.status).toBe(200);
        expect(await response.json()).toMatchObject({ version: "1.2.3", build: 10_203 });
      },
      { timeout: 10_000, interval: 100 },
    );
    const part = await fetch(`${gateway.httpUrl}/downloads/app.dmg`, {
      headers: { range: "bytes=1000-1999" },
    });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(1000, 2000))).toBe(true);
    const updates = gateway.status().modules.find(({ name }) => name === "updates");
    expect(updates).toMatchObject({ state: "ok", enabled: true });
  });

  it("withdraws a release, and publishes a feed as it was signed", async () => {
    writeFileSync(join(folder, "signed.xml"), "<rss>signed</rss>");
    expect((await release("signed-feed", "signed.xml")).status).toBe(0);
    expect((await release("feed")).text).toBe("<rss>signed</rss>");
    const withdrawn = await release("withdraw", "--version", "1.2.3");
    expect(withdrawn.text).toBe("build 10203 is withdrawn\n");
    expect((await release("list")).text).toBe("");
    expect(await release("withdraw", "--version", "1.2.3")).toMatchObject({
      status: 1,
      text: "there is no release of build 10203\n",
    });
  });
});
