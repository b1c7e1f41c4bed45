// A process that runs python's grpc.aio in a process of its own, and reads its figures for the load.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { serveLoad } from "../child.ts";
import { PYTHON } from "./python.ts";

const SCRIPT = fileURLToPath(new URL("grpc_aio.py", import.meta.url));
/** The kernel counts CPU time in these. */
const TICK_MS = 10;

const child = spawn(PYTHON, [SCRIPT, ...process.argv.slice(2)], {
  stdio: ["ignore", "pipe", "inherit"],
});
process.once("exit", () => child.kill("SIGKILL"));
child.once("exit", () => process.exit(1));
const [port] = await once(createInterface(child.stdout), "line");

/** The process's own CPU time and memory, as the kernel tells them. */
function readUsage() {
  const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8");
  // The name of the program, in parentheses, may hold spaces. Fields 14 and 15 are the CPU times.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  const [, kibibytes] = /^VmRSS:\s+(\d+)/m.exec(status) ?? [];
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    rssBytes: Number(kibibytes) * 1024,
  };
}

serveLoad({
  url: `http://127.0.0.1:${port}`,
  takeCancels: () => ({}),
  answers: () => ({}),
  readUsage,
  async stop() {
    child.kill("SIGKILL");
  },
});
