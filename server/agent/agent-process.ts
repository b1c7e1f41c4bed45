import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { followLines, type OutputLog } from "./output-lines.ts";
import { AgentUnavailable, systemCode } from "./unavailable.ts";

/** What an agent's process is started with. */
export type ProcessOptions = {
  /** The program and its arguments. */
  readonly argv: readonly string[];
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly log: OutputLog;
};

/** An agent's process, or the attempt to start one. */
export type AgentProcess = {
  /** Resolves when it has written the line `AGENT_READY`. */
  readonly ready: Promise<void>;
  /** Fires when it has ended. The reason is an `AgentUnavailable` that says how: "the agent exited with code 1". */
  readonly ended: AbortSignal;
  /** Asks it to end, and kills it after the grace. Resolves when it and its children are gone. */
  stop(graceMs: number): Promise<void>;
};

const READY_LINE = "AGENT_READY";

// A process group is killed as one. Windows has none: children survive there.
const hasGroups = process.platform !== "win32";

/**
 * Starts an agent in a process group of its own. Its standard input stays open for as long as the
 * gateway lives, so that an agent can notice that the gateway is gone however that ended. If the gateway
 * exits without stopping it, the group is killed.
 */
export function startAgentProcess({ argv, env, log }: ProcessOptions): AgentProcess {
  const [file = "", ...args] = argv;
  const ended = new AbortController();
  const ready = Promise.withResolvers<void>();
  const child = spawn(file, args, {
    env,
    stdio: "pipe",
    detached: hasGroups,
    windowsHide: true,
  });
  const killNow = () => signalGroup(child, "SIGKILL");
  process.once("exit", killNow);
  const end = (how: string) => {
    process.off("exit", killNow);
    // What it started may outlive it.
    killNow();
    ended.abort(new AgentUnavailable(how));
  };
  child.once("error", (error) => end(`the agent cannot be started${systemCode(error)}`));
  child.once("exit", (code, signal) =>
    end(code === null ? `the agent was killed by ${signal}` : `the agent exited with code ${code}`),
  );
  child.stdin.on("error", () => undefined);
  followLines(child.stdout, "stdout", log, (line) => {
    if (line.trim() === READY_LINE) ready.resolve();
  });
  followLines(child.stderr, "stderr", log);
  return {
    ready: ready.promise,
    ended: ended.signal,
    async stop(graceMs) {
      if (!ended.signal.aborted) {
        signalGroup(child, "SIGTERM");
        child.stdin.end();
        await sleep(graceMs, undefined, { signal: ended.signal }).catch(() => undefined);
        killNow();
        await untilAborted(ended.signal);
      }
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy();
    },
  };
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (hasGroups) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // It has already ended.
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
