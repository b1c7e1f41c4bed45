import { execFile } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startChildGateway } from "./support/child-gateway.ts";
import { freePort } from "./support/local-ports.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-commands-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs an npm script as an operator does. Rejects with its standard error. */
const npm = async (script: string, ...args: readonly string[]) => {
  const env = { ...process.env, DATA_DIR: folder };
  const run = promisify(execFile);
  const done = run("npm", ["run", "--silent", script, "--", ...args], { cwd: root, env });
  return await done.then(
    ({ stdout }) => stdout,
    ({ stderr }: { stderr: string }) => Promise.reject(new Error(stderr)),
  );
};

describe("npm run token", () => {
  it("creates, lists and revokes tokens that a running gateway knows", async () => {
    const args = ["--device", "d", "--scope", "status", "--scope", "speak,metrics"];
    const printed = await npm("token", "create", ...args, "--days", "1");
    const token = printed.trim().split("\n").at(-1) ?? "";
    expect(token).toMatch(/^parley_\w{8}_[\w-]{43}$/);
    const [id = ""] = printed.split(" ");
    expect(await npm("token", "list")).toMatch(
      new RegExp(`^${id}  device d  scopes status,speak,metrics  expires 20`),
    );
    const path = join(folder, "tokens.json");
    expect(await readFile(path, "utf8")).not.toContain(token);
    expect((await stat(path)).mode & 0o077).toBe(0);
    await using gateway = await startChildGateway({ AUTH_MODE: "token", DATA_DIR: folder });
    const status = async () => {
      const headers = { authorization: `Bearer ${token}` };
      return (await fetch(`http://127.0.0.1:${gateway.httpPort}/status`, { headers })).status;
    };
    expect(await status()).toBe(200);
    expect(await npm("token", "revoke", id)).toBe(`revoked ${id}\n`);
    await expect.poll(status, { timeout: 5000 }).toBe(401);
    expect(await npm("token", "list")).toBe("");
  });

  it.each([
    [["create"], "--device ID is required"],
    [["create", "--device", "unknown"], 'hardware_id must not be "unknown"'],
    [["create", "--device", "d", "--scope", "all"], "--scope all: must be one of speak"],
    [["create", "--device", "d", "--days", "0"], "--days must be more than 0"],
    [["revoke", "aaaaaaaa"], "there is no token aaaaaaaa"],
    [["revoke"], "name the tokens"],
    [["burn"], "there is no command burn"],
  ])("says what is wrong with %j", async (args, problem) => {
    await expect(npm("token", ...args)).rejects.toThrow(problem);
  });
});

describe("npm run release", () => {
  it("publishes a file that the gateway serves on a port for the feed alone", async () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const key = join(folder, "key.pem");
    await writeFile(key, privateKey.export({ format: "pem", type: "pkcs8" }));
    const file = join(folder, "app.zip");
    await writeFile(file, "the app");
    const printed = await npm("release", "add", file, "--version", "1.2.3", "--key", key);
    expect(printed).toContain("1.2.3 (build 10203, stable) is published");
    expect(await npm("release", "list")).toBe("10203  1.2.3  stable  app.zip\n");
    const again = npm("release", "add", file, "--version", "1.2.3", "--key", key);
    await expect(again).rejects.toThrow("build 10203 is published already");
    const updatePort = await freePort();
    await using _gateway = await startChildGateway({
      DATA_DIR: folder,
      UPDATE_ENABLED: "true",
      UPDATE_PORT: String(updatePort),
    });
    const get = (path: string, init?: RequestInit) =>
      fetch(`http://127.0.0.1:${updatePort}${path}`, init);
    expect(await (await get("/appcast.xml")).text()).toBe(await npm("release", "feed"));
    expect(await (await get("/downloads/app.zip")).text()).toBe("the app");
    expect((await get("/health")).status).toBe(200);
    for (const path of ["/", "/status", "/metrics", "/v1/speak"]) {
      expect((await get(path)).status).toBe(404);
    }
    const rpc = await get("/streaming.StreamingService/InterruptSession", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"hardware_id":"d"}',
    });
    expect(rpc.status).toBe(404);
    expect(
      (await get("/appcast.xml", { headers: { origin: "https://evil.example" } })).status,
    ).toBe(403);
  });

  it.each([
    [["add", "x", "--version", "1.2.3"], "name one of --key and --signature"],
    [["add", "x", "--key", "k"], "--version is required"],
    [["add"], "add needs a file"],
    [["feed", "--channel", "nightly"], "--channel must be one of stable"],
  ])("says what is wrong with %j", async (args, problem) => {
    await expect(npm("release", ...args)).rejects.toThrow(problem);
  });
});
