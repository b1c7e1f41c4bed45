// A process that runs Debian's redis-server, for gateways that share their turns. Its URL is Redis' own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { serveLoad } from "./child.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function untilListening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const isThere = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isThere) return;
    await sleep(20);
  }
}

const folder = mkdtempSync(join(tmpdir(), "parley-bench-redis-"));
const port = await freePort();
const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
const redis = spawn("redis-server", args, { stdio: "ignore" });
redis.once("error", () => {
  process.stderr.write("no redis-server: install Debian's package\n");
  process.exit(1);
});
process.once("exit", () => {
  redis.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
await untilListening(port);
serveLoad({
  url: `redis://127.0.0.1:${port}`,
  takeCancels: () => ({}),
  answers: () => ({}),
  async stop() {
    redis.kill("SIGKILL");
  },
});
