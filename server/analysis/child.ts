import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { onAbort, throwIfAborted } from "../core/async.ts";
import { oneLine } from "../core/errors.ts";
import { AnalysisError, type AnalysisErrorKind } from "./errors.ts";

// A process, not a thread: a run of a model or of a decoder cannot be stopped in any other way, and what
// breaks in native code must not take the gateway with it.

/** A process that answers calls, one at a time. */
export type Child = {
  /**
   * Sends a request and waits for its answer. Throws an `AnalysisError`, or the signal's reason at once; then
   * the process is of no more use. Time and memory are limited: beyond them the process is killed.
   */
  call<Answer>(request: object, limits: CallLimits): Promise<Answer>;
  /** Its standard input, if it was asked for. */
  readonly input: ChildProcess["stdin"];
  readonly pid: number | undefined;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  isAlive(): boolean;
  /** Kills the process at once, with what it started. */
  close(): Promise<void>;
};

/** What one call may take. */
type CallLimits = {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** What a call that exceeds a limit is: an error of this kind, whose message begins so. */
  readonly beyond: { readonly kind: AnalysisErrorKind; readonly what: string };
};

/** How a process is started. */
export type ChildOptions = {
  /** A module that calls `serveCalls`. */
  readonly program: URL;
  readonly args?: readonly string[];
  /** Megabytes that it may have in memory, with what it starts. */
  readonly maxMemoryMb: number;
  readonly hasInput?: boolean;
};

/** What the process sends. */
type Reply =
  | { readonly answer: unknown }
  | { readonly failure: { kind: AnalysisErrorKind; message: string; detail?: string } };

const KEPT_ERROR_CHARACTERS = 4096;
const MEMORY_FAULT = "it needed too much memory";
const WATCH_EVERY_MS = 100;
const hasGroups = process.platform !== "win32";

/** Starts a process. */
export function startChild(options: ChildOptions): Child {
  const { program, args = [], maxMemoryMb, hasInput = false } = options;
  const child = fork(program, args, {
    // It needs no settings, so it gets no secrets.
    env: {},
    execArgv: [`--max-old-space-size=${maxMemoryMb}`],
    serialization: "advanced",
    detached: hasGroups,
    stdio: [hasInput ? "pipe" : "ignore", "ignore", "pipe", "ipc"],
  });
  let errorText = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errorText = (errorText + text).slice(-KEPT_ERROR_CHARACTERS);
  });
  child.stdin?.on("error", () => undefined);
  let isAlive = child.pid !== undefined;
  const ended = endOf(child).then(() => {
    isAlive = false;
  });
  const kill = () => killGroup(child);
  return {
    input: child.stdin,
    pid: child.pid,
    ended,
    isAlive: () => isAlive,
    async call<Answer>(request: object, limits: CallLimits): Promise<Answer> {
      throwIfAborted(limits.signal);
      const { what } = limits.beyond;
      const fault = (reason: string, kind = limits.beyond.kind) =>
        new AnalysisError(kind, `${what}: ${reason}`, oneLine(errorText));
      const waiting = new AbortController();
      const stop = (reason: unknown) => {
        waiting.abort(reason);
        kill();
      };
      const timer = setTimeout(() => stop(fault("it took too long")), limits.timeoutMs);
      const watch = setInterval(() => {
        if (memoryMbOf(child.pid) > maxMemoryMb) stop(fault(MEMORY_FAULT));
      }, WATCH_EVERY_MS);
      const forget = onAbort(limits.signal, stop);
      // V8 aborts when its own memory is used up.
      const isFull = () => child.signalCode === "SIGABRT" || child.exitCode === 134;
      void ended.then(() =>
        waiting.abort(isFull() ? fault(MEMORY_FAULT) : fault("its process ended", "worker")),
      );
      try {
        if (child.connected) child.send(request, () => undefined);
        const [reply]: Reply[] = await once(child, "message", { signal: waiting.signal });
        return accept<Answer>(reply);
      } catch (error) {
        throw waiting.signal.aborted ? waiting.signal.reason : error;
      } finally {
        clearTimeout(timer);
        clearInterval(watch);
        forget();
      }
    },
    async close() {
      kill();
      await ended;
    },
  };
}

function accept<Answer>(reply: Reply | undefined): Answer {
  if (reply && "answer" in reply) return reply.answer as Answer;
  const { kind, message, detail } = reply?.failure ?? { kind: "worker", message: "no answer" };
  throw new AnalysisError(kind, message, detail);
}

async function endOf(child: ChildProcess): Promise<void> {
  // Without a listener an "error" event would be thrown: the process could not be started.
  const failed = Promise.withResolvers<void>();
  child.on("error", () => failed.resolve());
  await Promise.race([once(child, "exit").catch(() => undefined), failed.promise]);
}

/** A decoder may have started a program. */
function killGroup(child: ChildProcess): void {
  const { pid, exitCode, signalCode } = child;
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    if (hasGroups) process.kill(-pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch {
    // It has just ended.
  }
}

/** Megabytes of a process and all that it has started; 0 where the system does not say. */
function memoryMbOf(pid: number | string | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const own = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    return children
      .filter((each) => each !== "")
      .reduce((sum, each) => sum + memoryMbOf(each), own);
  } catch {
    return 0;
  }
}
