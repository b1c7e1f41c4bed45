import { readdirSync, readFileSync } from "node:fs";

/** How long a process may take to stand still, in milliseconds. */
const STALL_MS = 10_000;

/**
 * Stops a process where it stands (SIGSTOP), and returns once it does: on a busy machine its threads run on
 * for a while after the signal, and may still answer. SIGCONT lets it go on.
 */
export function stallProcess(pid: number | undefined): void {
  if (pid === undefined) throw new Error("the process did not start");
  process.kill(pid, "SIGSTOP");
  // Only Linux shows the states of threads as files.
  if (process.platform !== "linux") return;
  const tick = new Int32Array(new SharedArrayBuffer(4));
  for (const startMs = performance.now(); !isStalled(pid); Atomics.wait(tick, 0, 0, 1)) {
    if (performance.now() - startMs > STALL_MS) throw new Error(`process ${pid} does not stop`);
  }
}

/** Whether each of its threads is stopped or has ended. */
function isStalled(pid: number): boolean {
  return orElse([], () => readdirSync(`/proc/${pid}/task`)).every((thread) => {
    const stat = orElse(") T", () => readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8"));
    // The name, in parentheses, may hold anything.
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("T");
  });
}

function orElse<Value>(ended: Value, read: () => Value): Value {
  try {
    return read();
  } catch {
    return ended;
  }
}
