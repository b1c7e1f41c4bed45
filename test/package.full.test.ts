import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import packageJson from "../package.json" with { type: "json" };
import type { GatewayStatus } from "../server/http/status.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Installing twice, and compiling, on a busy machine. */
const BUILD_MS = 480_000;

/** The commands of the image's first stage, by the folder in which they run. */
function buildSteps(dockerfile: string): readonly { folder: string; command: string }[] {
  let folder = "";
  const [build = ""] = dockerfile.split(/^FROM /m).slice(1);
  return build.split("\n").flatMap((line) => {
    const [, verb, rest = ""] = /^(WORKDIR|RUN) (.*)$/.exec(line) ?? [];
    if (verb === "WORKDIR") folder = rest;
    return verb === "RUN" ? [{ folder, command: rest }] : [];
  });
}

/** A copy of the files of the repository, as COPY would make it. */
function copySources(to: string): void {
  const { stdout } = spawnSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root });
  for (const path of String(stdout).trim().split("\n")) {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(root, path), join(to, path));
  }
}

describe("the npm package, made by the steps of deploy/Dockerfile", () => {
  const place = mkdtempSync(join(tmpdir(), "package-"));
  const bin = join(place, "app/node_modules/parley/bin/parley.js");
  let gateway: ChildProcess | undefined;
  afterAll(async () => {
    if (gateway?.exitCode === null) {
      gateway.kill("SIGKILL");
      await once(gateway, "exit");
    }
    await rm(place, { recursive: true, force: true });
  }, BUILD_MS);

  beforeAll(() => {
    for (const folder of ["src", "app", "tmp"]) mkdirSync(join(place, folder));
    copySources(join(place, "src"));
    const steps = buildSteps(readFileSync(join(root, "deploy/Dockerfile"), "utf8"));
    expect(steps.length).toBe(4);
    for (const { folder, command } of steps) {
      const { status, stderr } = spawnSync(
        "sh",
        ["-c", command.replaceAll("/tmp", `${place}/tmp`)],
        {
          cwd: join(place, folder),
          env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` },
        },
      );
      expect(status, `${command}: ${stderr}`).toBe(0);
    }
  }, BUILD_MS);

  it("holds no TypeScript, no test and no source of another room", () => {
    const { stdout } = spawnSync("find", [join(place, "app/node_modules/parley"), "-type", "f"]);
    const files = String(stdout).trim().split("\n");
    expect(files.filter((file) => /\.ts$|\.test\.|\/(test|tools|emulators)\//.test(file))).toEqual(
      [],
    );
    expect(files.length).toBeGreaterThan(150);
  });

  it("starts in an empty folder, speaks with the offline voice, and shows the page", async () => {
    const data = join(place, "data");
    mkdirSync(data);
    const env = { PATH: process.env["PATH"] ?? "", DATA_DIR: data, HTTP_PORT: "0", GRPC_PORT: "0" };
    gateway = spawn(process.execPath, [bin], { cwd: data, env, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    const output = gateway.stdout?.setEncoding("utf8").iterator({ destroyOnReturn: false });
    for await (const piece of output ?? []) {
      text += piece;
      if (text.includes("curl")) break;
    }
    const [url = ""] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? [];
    const spoken = await fetch(`${url}/v1/speak`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "say: Hello from the package.", hardware_id: "package" }),
    });
    expect(spoken.status).toBe(200);
    expect((await spoken.arrayBuffer()).byteLength).toBeGreaterThan(48_000);
    const status = (await (await fetch(`${url}/status`)).json()) as GatewayStatus;
    const local = status.providers.find(({ name }) => name === "local");
    expect(local).toMatchObject({ succeeded: 1, failed: 0 });
    expect(status.storage?.state ?? "off").not.toBe("degraded");
    expect(await (await fetch(url)).text()).toContain("<script");
    gateway.kill("SIGTERM");
    expect(await once(gateway, "exit")).toEqual([0, null]);
  });

  it("has the commands of npm's scripts", () => {
    const args = [bin, "token", "create", "--device", "package", "--scope", "speak"];
    const env = { PATH: process.env["PATH"] ?? "", DATA_DIR: join(place, "tokens") };
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { env });
    expect(status, String(stderr)).toBe(0);
    expect(String(stdout).trim().split("\n").at(-1)).toMatch(/^\S{20,}$/);
  });

  it("says on an old Node which one it needs", () => {
    const old = 'Object.defineProperty(process.versions, "node", { value: "20.20.2" });';
    const { status, stderr } = spawnSync(process.execPath, [
      "--import",
      `data:text/javascript,${encodeURIComponent(old)}`,
      bin,
    ]);
    const [needed] = /\d+\.\d+/.exec(packageJson.engines.node) ?? [];
    expect(String(stderr)).toContain(`Parley needs Node ${needed} or newer; this is Node 20.20.2.`);
    expect(status).toBe(1);
  });
});
