import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** What a gateway's process holds, in bytes. */
type Holding = { readonly heap: number; readonly external: number; readonly rss: number };

/** A gateway in a process of its own, to be attacked. */
export type Target = {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Whether the process still runs. */
  isAlive(): boolean;
  /** What it holds, now or after a collection. Rejects if it has ended. */
  holding(when: "now" | "collected"): Promise<Holding>;
  /** What it wrote to standard error so far. */
  log(): string;
  stop(): Promise<void>;
};

/** Starts a gateway that reports its memory. */
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
    async holding(when) {
      const { heapUsed, external, rss } = await report(child, when);
      return { heap: heapUsed, external, rss };
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

async function report(child: ChildProcess, when: "now" | "collected"): Promise<NodeJS.MemoryUsage> {
  const answer = once(child, "message", { signal: AbortSignal.timeout(10_000) });
  child.send(when);
  const [memory] = await answer;
  return memory as NodeJS.MemoryUsage;
}
