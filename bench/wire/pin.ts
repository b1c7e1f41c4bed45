import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { BenchServer } from "../server.ts";

/** Read before any core is taken from this process. */
const CORES = availableParallelism();

/** The server, with the processes that it started, gets the first core and the load the last one. */
export function pinToCores({ pid }: BenchServer): void {
  if (process.platform !== "linux") return;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  const servers = [String(pid), ...children.split(" ").filter(Boolean)];
  for (const each of servers) pin(each, "0");
  pin(String(process.pid), String(CORES - 1));
}

/** The servers of later scenarios would inherit it. */
export function unpin(): void {
  pin(String(process.pid), `0-${CORES - 1}`);
}

function pin(pid: string, cores: string): void {
  if (process.platform !== "linux") return;
  spawnSync("taskset", ["-acp", cores, pid], { stdio: "ignore" });
}
