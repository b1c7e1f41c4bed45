import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InvalidConfig, readConfig } from "./config.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "parley-config-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function fileWith(...lines: readonly string[]): { CONFIG_FILE: string } {
  const path = join(folder, "config.env");
  writeFileSync(path, lines.join("\n"));
  return { CONFIG_FILE: path };
}

/** Names and values as the servers before had them, shortened; the key is none. */
const oldFile = [
  "\uFEFF# =====================",
  "GEMINI_API_KEY=not-a-key",
  "GEMINI_PRIMARY_MODEL=gemini-2.5-flash-lite",
  "GEMINI_LIVE_TOOLS=google_search",
  "",
  "export AZURE_SPEECH_KEY='not-a-key-either' # the voice",
  "AZURE_SPEECH_REGION=canadacentral",
  "AZURE_VOICE_STYLE=friendly",
  "USE_EDGE_TTS=false",
  "GRPC_HOST=auto",
  "GRPC_PORT=50052",
  "HTTP_HOST=auto",
  "MAX_WORKERS=100",
  "USE_TLS=false",
  "DB_HOST=localhost",
  "DB_PASSWORD=not-a-password",
  "MAX_CONCURRENT_REQUESTS=50",
  "MAX_ACTIVE_SESSIONS=100",
  "REQUEST_TIMEOUT=60",
  "SESSION_CLEANUP_DELAY=2.0",
  "GLOBAL_INTERRUPT_ENABLED=true",
  "INTERRUPT_TIMEOUT=5.0",
  "LOG_INTERRUPTS=true",
  "LOG_TIMING=true",
  "LOG_LEVEL=INFO",
  "LOG_REQUESTS=true",
  "GEMINI_SYSTEM_PROMPT=",
];

describe("CONFIG_FILE", () => {
  it("takes an old config.env as it stands", () => {
    const config = readConfig(fileWith(...oldFile));
    expect(config).toMatchObject({
      host: "127.0.0.1",
      grpcPort: 50_052,
      httpPort: 8080,
      maxTurns: 100,
      maxTurnsPerDevice: 50,
      maxTurnMs: 60_000,
      logLevel: "info",
      providers: {
        textTiers: ["gemini-live", "gemini", "langchain", "offline"],
        speechTiers: ["azure", "local", "tone"],
        gemini: { apiKey: "not-a-key", model: "gemini-2.5-flash-lite", search: true },
        azure: { apiKey: "not-a-key-either", region: "canadacentral" },
      },
    });
  });

  it("reads comments, quotes, export and lines as Windows ends them", () => {
    const lines = [
      "# a",
      "export HTTP_PORT = 1 # b\r",
      'SYSTEM_PROMPT="a # b"\r',
      "HOST='::1'\r",
      "",
    ];
    expect(readConfig(fileWith(...lines))).toMatchObject({
      httpPort: 1,
      host: "::1",
      providers: { systemPrompt: "a # b" },
    });
  });

  it("yields to the environment, whichever of two names either uses", () => {
    const file = fileWith("HTTP_PORT=1", "HOST=::1", "MAX_ACTIVE_SESSIONS=7", "REQUEST_TIMEOUT=19");
    const env = { HTTP_PORT: "2", GRPC_HOST: "127.0.0.9", MAX_SESSIONS: "8", REQUEST_TIMEOUT: " " };
    expect(readConfig({ ...file, ...env })).toMatchObject({
      httpPort: 2,
      host: "127.0.0.9",
      maxTurns: 8,
      maxTurnMs: 19_000,
    });
  });

  it("stops the start where the file cannot be read, and shows no path", () => {
    const missing = join(folder, "nothing.env");
    const read = () => readConfig({ CONFIG_FILE: missing, HTTP_PORT: "x" });
    expect(read).toThrow(InvalidConfig);
    expect(read).toThrow("CONFIG_FILE cannot be read (ENOENT)");
    expect(read).toThrow("HTTP_PORT");
    expect(read).not.toThrow(/nothing\.env/);
  });

  it("stays on this machine where an old file has every address and no authentication", () => {
    const file = fileWith("GRPC_HOST=0.0.0.0");
    const { host, warnings } = readConfig(file);
    expect(host).toBe("127.0.0.1");
    expect(warnings).toEqual([expect.stringContaining("AUTH_MODE=open")]);
    expect(readConfig({ ...file, AUTH_MODE: "open" })).toMatchObject({
      host: "0.0.0.0",
      warnings: [],
    });
    expect(() => readConfig(fileWith("HOST=0.0.0.0"))).toThrow("AUTH_MODE=open");
  });
});

describe("names of settings", () => {
  it("maps old names in the environment too", () => {
    const env = { REQUEST_TIMEOUT: "60", MAX_ACTIVE_SESSIONS: "100" };
    expect(readConfig(env)).toMatchObject({ maxTurnMs: 60_000, maxTurns: 100, warnings: [] });
  });

  it("names what is wrong by the name that was given", () => {
    expect(() => readConfig({ REQUEST_TIMEOUT: "soon" })).toThrow(/at REQUEST_TIMEOUT/);
  });

  it("says once, with reasons, which have no effect", () => {
    const { warnings } = readConfig({ ...fileWith(...oldFile), MAX_SESSIONS: "9" });
    expect(warnings).toHaveLength(1);
    const [warning = ""] = warnings;
    for (const part of [
      "SESSION_CLEANUP_DELAY (a turn is freed when it ends)",
      "GLOBAL_INTERRUPT_ENABLED (an interrupt always works)",
      "INTERRUPT_TIMEOUT (an interrupt takes effect at once)",
      "LOG_TIMING (",
      "DB_HOST, DB_PASSWORD (PostgreSQL is not used)",
      "HTTP_HOST (HOST is the address of every port)",
      "MAX_WORKERS (see MAX_SESSIONS and MAX_CONCURRENT_REQUESTS)",
    ]) {
      expect(warning).toContain(part);
    }
    expect(warning).not.toMatch(/not-a|LOG_LEVEL=|REQUEST_TIMEOUT/);
  });

  it("says that an old name beside the new one has no effect", () => {
    const { maxTurns, warnings } = readConfig({ MAX_SESSIONS: "200", MAX_ACTIVE_SESSIONS: "100" });
    expect(maxTurns).toBe(200);
    expect(warnings).toEqual([
      "These settings have no effect: MAX_ACTIVE_SESSIONS (MAX_SESSIONS is set).",
    ]);
  });

  it.each([
    ["HTP_PORT", "HTTP_PORT"],
    ["LOG_LEVELS", "LOG_LEVEL"],
    ["GEMINI_API_KEI", "GEMINI_API_KEY"],
    ["GEMINI_API_KYE", "GEMINI_API_KEY"],
    ["REQUEST_TIMEOUTS", "REQUEST_TIMEOUT"],
  ])("suggests for %s, from either source, %s", (typo, meant) => {
    const expected = [`${typo} is not a setting. Did you mean ${meant}?`];
    expect(readConfig({ [typo]: "secret" }).warnings).toEqual(expected);
    expect(readConfig(fileWith(`${typo}=secret`)).warnings).toEqual(expected);
  });

  it("says nothing of what the environment holds for others", () => {
    const env = { PATH: "/bin", HOSTNAME: "h", DB_HOST: "d", LOG_FILE: "f", npm_config_cache: "c" };
    expect(readConfig(env).warnings).toEqual([]);
  });
});
