import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { startAzureEmulator } from "../emulators/azure.ts";
import packageJson from "../package.json" with { type: "json" };
import { createApp } from "../server/app.ts";
import { readConfig } from "../server/config/config.ts";
import type { Logger } from "../server/telemetry/logger.ts";
import { endProcesses, spawnGateway } from "./hardening/gateway-process.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const key = "a-key-that-is-wrong";

afterEach(endProcesses);

/** Starts the gateway as `npm start` does, and waits for all of its start line. */
async function start(env: Readonly<Record<string, string>>): Promise<string> {
  const { stdout, stderr } = spawnGateway(env);
  stderr.resume();
  let text = "";
  for await (const piece of stdout.setEncoding("utf8")) {
    text += piece;
    if (text.includes("curl")) break;
  }
  return text;
}

describe("createApp", () => {
  it("logs what the settings' names gave reason to warn of, at the start", async () => {
    const warnings: string[] = [];
    const logger: Logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: (_, message) => warnings.push(message),
      error: () => undefined,
    };
    const base = { GRPC_PORT: "0", HTTP_PORT: "0", SPEECH_TIERS: "tone", STORAGE_ENABLED: "false" };
    const config = readConfig({ ...base, LOG_TIMING: "true", LOG_LEVELS: "x" });
    const app = createApp(config, { logger });
    expect(warnings).toEqual([]);
    await app.start();
    await app.stop();
    expect(warnings).toEqual(config.warnings);
    expect(warnings).toHaveLength(2);
  });
});

describe("npm start", { timeout: 60_000 }, () => {
  it("keeps what it compiled for the next start", () => {
    const [, ...args] = packageJson.scripts.start.split(" ");
    const cache = join(root, "node_modules/.cache/compiled");
    rmSync(cache, { recursive: true, force: true });
    // Both are set where coverage is measured, and with either of them Node keeps nothing.
    const { NODE_V8_COVERAGE: _, NODE_DISABLE_COMPILE_CACHE: __, ...env } = process.env;
    const options = { cwd: root, env, encoding: "utf8" } as const;
    const first = spawnSync(process.execPath, [...args, "--help"], options);
    expect(first).toMatchObject({ status: 0, stderr: "" });
    expect(first.stdout).toContain("Usage: npm start");
    const files = readdirSync(cache, { recursive: true, withFileTypes: true });
    expect(files.filter((entry) => entry.isFile()).length).toBeGreaterThan(300);
  });
});

describe("the start line", { timeout: 60_000 }, () => {
  it("names the version, addresses, tiers and the setting that would add a better one", async () => {
    const text = await start({});
    expect(text).toMatch(/^Parley \d+\.\d+\.\d+ listens on http:\/\/127\.0\.0\.1:\d+ and http/);
    expect(text).toContain("Text: offline. Speech: local, tone. Set GEMINI_API_KEY for");
    expect(text).not.toContain("Not usable");
  });

  it("tells a key that is refused from an outage, and shows no key", async () => {
    const azure = await startAzureEmulator();
    try {
      const env = { AZURE_SPEECH_KEY: key, AZURE_SPEECH_HOST: azure.url };
      azure.play({ fault: { kind: "unauthorized" } });
      const refused = await start(env);
      expect(refused).toMatch(/^Skipped \(misconfigured\): azure: /m);
      expect(refused).not.toContain(key);
      await endProcesses();
      azure.play({ fault: { kind: "html-500" } });
      expect(await start(env)).not.toContain("Not usable");
    } finally {
      await azure.stop();
    }
  });
});
