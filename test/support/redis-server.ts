import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, untilListening } from "./local-ports.ts";
import { hasProgram } from "./program.ts";

/** A Redis in a process of its own, which keeps nothing on a disk. */
export type RedisServer = AsyncDisposable & {
  readonly port: number;
  /** What `REDIS_URL` is for it. */
  readonly url: string;
  /** Stops its process where it stands: it takes connections and answers nothing. */
  stall(): void;
  /** Lets it go on. */
  resume(): void;
  /** Ends it at once, with all that it knew. */
  kill(): Promise<void>;
  /** Starts it again, empty, on the same port. */
  restart(): Promise<void>;
};

/** Whether Redis is installed. In CI it must be; elsewhere its absence is told on standard error. */
export const hasRedis = () =>
  hasProgram("redis-server", ["--version"], "install Debian's redis-server");

/** Starts a Redis on a free port of this machine. With a password it refuses everyone without it. */
export async function startRedisServer({ password = "" } = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), "parley-redis-"));
  const port = await freePort();
  let child = await start(port, folder, password);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return {
    port,
    url: `redis://${password && `:${password}@`}127.0.0.1:${port}`,
    stall: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    kill,
    async restart() {
      await kill();
      child = await start(port, folder, password);
    },
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true });
    },
  };
}

async function start(port: number, folder: string, password: string): Promise<ChildProcess> {
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const secret = password === "" ? [] : ["--requirepass", password];
  const child = spawn("redis-server", [...args, ...secret], { stdio: "ignore" });
  await once(child, "spawn");
  await untilListening(port, child);
  return child;
}
