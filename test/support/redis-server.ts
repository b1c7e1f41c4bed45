import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, untilListening } from "./local-ports.ts";
import { hasProgram } from "./program.ts";
import { stallProcess } from "./stall.ts";

/** A Redis in a process of its own, which keeps nothing on a disk. */
export type RedisServer = AsyncDisposable & {
  readonly port: number;
  /** What `REDIS_URL` is for it. */
  readonly url: string;
  /** Stops its process where it stands: it takes connections and answers nothing from now on. */
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

/** How a Redis is started. */
type RedisServerOptions = {
  /** It refuses everyone without it. */
  readonly password?: string;
  /** Files of a certificate and its key: it speaks TLS alone. */
  readonly tls?: { readonly cert: string; readonly key: string };
};

/** Starts a Redis on a free port of this machine. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { password, tls } = options;
  const folder = mkdtempSync(join(tmpdir(), "parley-redis-"));
  const port = await freePort();
  let child = await start(port, folder, options);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return {
    port,
    url: `${tls ? "rediss" : "redis"}://${password ? `:${password}@` : ""}127.0.0.1:${port}`,
    stall: () => stallProcess(child.pid),
    resume: () => void child.kill("SIGCONT"),
    kill,
    async restart() {
      await kill();
      child = await start(port, folder, options);
    },
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true });
    },
  };
}

async function start(
  port: number,
  folder: string,
  { password, tls }: RedisServerOptions,
): Promise<ChildProcess> {
  const listen = tls ? ["--port", "0", "--tls-port", String(port)] : ["--port", String(port)];
  const secret = password ? ["--requirepass", password] : [];
  const files = tls
    ? ["--tls-cert-file", tls.cert, "--tls-key-file", tls.key, "--tls-auth-clients", "no"]
    : [];
  const args = [...listen, "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const child = spawn("redis-server", [...args, ...secret, ...files], { stdio: "ignore" });
  await once(child, "spawn");
  await untilListening(port, child);
  return child;
}
