import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

// Each run starts Node: 0.3 s on an idle machine.
const TIMEOUT_MS = 60_000;

const root = fileURLToPath(new URL("..", import.meta.url));

describe("readme.ts", { timeout: TIMEOUT_MS }, () => {
  let copy: string;

  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), "parley-readme-"));
    for (const part of [
      "tools",
      "server/config/settings.ts",
      "server/config/agent-settings.ts",
      "server/config/data-settings.ts",
      "server/config/auth-settings.ts",
      "server/config/door-settings.ts",
      "server/config/update-settings.ts",
      "server/config/limit-settings.ts",
      "server/config/tls-settings.ts",
      "server/config/analysis-settings.ts",
      "server/config/telemetry-settings.ts",
      "server/core",
      "server/telemetry",
      "server/config/setting-types.ts",
      "server/config/hosts-and-origins.ts",
      "docs/security.md",
      "package.json",
    ]) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"), "junction");
  });

  afterEach(() => rmSync(copy, { recursive: true }));

  const run = (...args: string[]) => {
    const argv = [join(copy, "tools/readme.ts"), ...args];
    const { status, stderr } = spawnSync(process.execPath, argv, { encoding: "utf8" });
    return { status, stderr };
  };

  it("says that there is no README.md, or no place in it", () => {
    expect(run()).toEqual({
      status: 1,
      stderr: expect.stringContaining("must be there once each"),
    });
    writeFileSync(join(copy, "README.md"), "# Parley\n");
    expect(run("--check")).toEqual({ status: 1, stderr: expect.stringContaining("once each") });
  });

  it("writes the table, and with --check only tells that it is stale", () => {
    const path = join(copy, "README.md");
    const stale = "# Parley\n\n<!-- settings -->\n<!-- /settings -->\n";
    writeFileSync(path, stale);
    expect(run("--check")).toEqual({
      status: 1,
      stderr: expect.stringContaining("out of date. Run: npm run gen"),
    });
    expect(readFileSync(path, "utf8")).toBe(stale);
    expect(run()).toEqual({ status: 0, stderr: "" });
    expect(readFileSync(path, "utf8")).toContain("| `GRPC_PORT` | `50051` |");
    expect(run("--check")).toEqual({ status: 0, stderr: "" });
  });

  it("writes config.env.example, and with --check only tells that it is stale", () => {
    writeFileSync(join(copy, "README.md"), "<!-- settings -->\n<!-- /settings -->\n");
    expect(run().status).toBe(0);
    const path = join(copy, "config.env.example");
    expect(readFileSync(path, "utf8")).toContain("\n#GRPC_PORT=50051\n");
    writeFileSync(path, "#GRPC_PORT=1\n");
    const stale = {
      status: 1,
      stderr: expect.stringContaining("config.env.example is out of date"),
    };
    expect(run("--check")).toEqual(stale);
    rmSync(path);
    expect(run("--check")).toEqual(stale);
  });
});
