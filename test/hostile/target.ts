import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** How a gateway's process is. */
export type Report = {
  /** Bytes of JavaScript's own heap, and of what it holds outside. */
  readonly heldBytes: number;
  readonly rssBytes: number;
  /** Turns in progress. */
  readonly turns: number;
  /** The longest that the event loop was kept busy since the report `first`, in CPU time. */
  readonly stallMs: number;
};

/** `first` begins a measurement; `collected` comes after a garbage collection. */
export type ReportKind = "first" | "now" | "collected";

/** A gateway in a process of its own, to be attacked. */
export type Target = {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Whether the process still runs. */
  isAlive(): boolean;
  /** How it is. Rejects if it has ended. */
  report(kind: ReportKind): Promise<Report>;
  /** What it wrote to standard error so far. */
  log(): string;
  stop(): Promise<void>;
};

/** Starts a gateway that reports how it is. */
export async function startTarget(): Promise<Target> {
  const child = fork(fileURLToPath(new URL("target-main.ts", import.meta.url)), {
    execArgv: ["--expose-gc"],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let log = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    log = (log + bytes.toString()).slice(-200_000);
  });
  const [ports] = await once(child, "message");
  return {
    ...(ports as { grpcPort: number; httpPort: number }),
    isAlive: () => child.exitCode === null && child.signalCode === null,
    log: () => log,
    report: (kind) => report(child, kind),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

async function report(child: ChildProcess, kind: ReportKind): Promise<Report> {
  const answer = once(child, "message", { signal: AbortSignal.timeout(10_000) });
  child.send(kind);
  const [told] = await answer;
  return told as Report;
}
