import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

/** A program ended with an exit code other than 0. */
export class ProgramFailed extends Error {
  override readonly name = "ProgramFailed";
  readonly code: number;
  readonly stderr: string;

  constructor(code: number, stderr: string) {
    super(`exit ${code}: ${stderr}`);
    this.code = code;
    this.stderr = stderr;
  }
}

/**
 * Runs a program and yields the lines of its standard output as they come. Throws `ProgramFailed`
 * after the last line if it failed. When the signal fires the program is killed as if it had
 * crashed, and the signal's reason is thrown; it is killed, too, when the reader leaves.
 */
export async function* runLines(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<string> {
  // A group of its own: what npm installs as a program may be a script that starts the real one.
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
  const closed = once(child, "close");
  const kill = () => killGroup(child);
  signal.addEventListener("abort", kill, { once: true });
  const stderr = text(child.stderr);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (signal.aborted) break;
      yield line;
    }
    await closed;
    signal.throwIfAborted();
    if (child.exitCode !== 0) throw new ProgramFailed(child.exitCode ?? -1, await stderr);
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
    await closed;
  }
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, "SIGKILL");
}

/** Runs a program to its end. A failure is told by the code. */
export async function runProgram(
  command: string,
  args: readonly string[],
  where: Pick<SpawnOptions, "cwd" | "env"> = {},
): Promise<{ readonly code: number; readonly stdout: Buffer; readonly stderr: string }> {
  const child = spawn(command, args, { ...where, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr] = await Promise.all([
    child.stdout.toArray() as Promise<Buffer[]>,
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code: child.exitCode ?? -1, stdout: Buffer.concat(stdout), stderr };
}

/**
 * Whether a program that only some tests need is there. In CI it must be: its absence throws there,
 * and elsewhere it is told on standard error, so that the tests can be skipped. `remedy` says what
 * to install.
 */
export function hasProgram(command: string, args: readonly string[], remedy: string): boolean {
  if (spawnSync(command, args, { stdio: "ignore" }).status === 0) return true;
  tellMissing(`${command} ${args.join(" ")} does not work here: ${remedy}.`);
  return false;
}

/**
 * Says that what only some tests need is not here. In CI that throws; elsewhere it is told on standard
 * error, so that the tests can be skipped.
 */
export function tellMissing(message: string): void {
  if (process.env["CI"]) throw new Error(message);
  process.stderr.write(`Tests are skipped. ${message}\n`);
}
