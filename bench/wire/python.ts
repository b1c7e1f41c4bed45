import { spawnSync } from "node:child_process";

/** Debian's own Python: the one that its package python3-grpcio is for. */
export const PYTHON = process.platform === "linux" ? "/usr/bin/python3" : "python3";

/** Whether a program can be run with these arguments. */
export function canRun(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}
