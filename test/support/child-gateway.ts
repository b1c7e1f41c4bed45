import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

const ENTRY = fileURLToPath(new URL("../../server/main.ts", import.meta.url));

/** A gateway in a process of its own, so that its memory and its pauses are its own. */
export type ChildGateway = AsyncDisposable & {
  readonly process: ChildProcess;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** What it wrote to its standard error. */
  log(): string;
  /** Resident memory in MiB. */
  memory(): number;
};

/**
 * Starts the program with the voice that beeps, without storage, and with `flags` of Node. Rejects if it
 * ends before it listens.
 */
export async function startChildGateway(
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Promise<ChildGateway> {
  const child = spawn(process.execPath, [...flags, ENTRY], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HTTP_PORT: "0",
      GRPC_PORT: "0",
      TEXT_TIERS: "offline",
      SPEECH_TIERS: "tone",
      LOG_LEVEL: "silent",
      STORAGE_ENABLED: "false",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    log += piece;
    process.stderr.write(piece);
  });
  let text = "";
  for await (const piece of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    text += piece;
    if (text.includes("curl")) break;
  }
  child.stdout.resume();
  const [httpPort = 0, grpcPort = 0] = [...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) =>
    Number(port),
  );
  if (grpcPort === 0) throw new Error(`the gateway did not start: ${text}`);
  return {
    process: child,
    httpPort,
    grpcPort,
    log: () => log,
    memory() {
      const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(procStatus(child.pid)) ?? [];
      return Number(kibibytes) / 1024;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

function procStatus(pid: number | undefined): string {
  return readFileSync(`/proc/${pid}/status`, "utf8");
}

/** What others noticed while a gateway was under attack. */
export type Witness = {
  /** Turns that another client had. Each was word-exact, or `error` says what it was. */
  readonly turns: number;
  readonly error?: string | undefined;
  /** Longest time between two messages of a turn, and to its first, without waits for a processor. */
  readonly longestGapMs: number;
  /** Slowest answer of `/health`, likewise. */
  readonly slowestHealthMs: number;
  /** Most memory in MiB above what there was at the start. */
  readonly grownMebibytes: number;
};

/**
 * Runs an attack while another client takes turns and `/health` is asked, in a thread that the attack
 * does not hold up. Resolves when the attack and what was under way have ended.
 */
export async function witness(
  gateway: ChildGateway,
  attack: () => Promise<unknown>,
): Promise<Witness> {
  const { grpcPort, httpPort } = gateway;
  const worker = new Worker(new URL("./witness-worker.ts", import.meta.url), {
    workerData: { grpcPort, httpPort, pid: gateway.process.pid },
  });
  try {
    await once(worker, "message");
    const startMebibytes = gateway.memory();
    let mostMebibytes = startMebibytes;
    const sample = () => {
      mostMebibytes = Math.max(mostMebibytes, gateway.memory());
    };
    const timer = setInterval(sample, 5);
    await attack().finally(() => clearInterval(timer));
    sample();
    worker.postMessage("stop");
    const [seen] = (await once(worker, "message")) as [Omit<Witness, "grownMebibytes">];
    return { ...seen, grownMebibytes: mostMebibytes - startMebibytes };
  } finally {
    await worker.terminate();
  }
}
