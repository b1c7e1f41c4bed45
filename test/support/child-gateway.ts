import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";

const ENTRY = fileURLToPath(new URL("../../server/main.ts", import.meta.url));

/** A gateway in a process of its own, so that its memory and its pauses are its own. */
export type ChildGateway = AsyncDisposable & {
  readonly process: ChildProcess;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** Resident memory in MiB. */
  memory(): number;
};

/** Starts the program with the voice that beeps. Rejects if it ends before it listens. */
export async function startChildGateway(
  env: Readonly<Record<string, string>> = {},
  entry = ENTRY,
): Promise<ChildGateway> {
  const child = spawn(process.execPath, [entry], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HTTP_PORT: "0",
      GRPC_PORT: "0",
      TEXT_TIERS: "offline",
      SPEECH_TIERS: "tone",
      LOG_LEVEL: "silent",
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
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
  readonly error: unknown;
  /** Longest time between two messages of a turn, and to its first. */
  readonly longestGapMs: number;
  /** Slowest answer of `/health`. */
  readonly slowestHealthMs: number;
  /** Most memory in MiB above what there was at the start. */
  readonly grownMebibytes: number;
};

const SENTENCES = "The first sentence is here. And another one follows it. Then there is a third.";

/** Runs an attack while another client takes turns and `/health` is asked, until all have ended. */
export async function witness(
  gateway: ChildGateway,
  attack: () => Promise<unknown>,
): Promise<Witness> {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${gateway.grpcPort}` });
  const client = createClient(StreamingService, transport);
  const seen = { turns: 0, error: undefined as unknown, longestGapMs: 0, slowestHealthMs: 0 };
  let grownMebibytes = 0;
  const takeTurn = async () => {
    let words = "";
    let lastMs = performance.now();
    const request = { prompt: `say: ${SENTENCES}`, hardwareId: "witness" };
    for await (const { content } of client.streamAudio(request)) {
      seen.longestGapMs = Math.max(seen.longestGapMs, performance.now() - lastMs);
      lastMs = performance.now();
      if (content.case === "textChunk") words += content.value;
    }
    if (words !== SENTENCES) throw new Error(`the turn said: ${words}`);
    seen.turns += 1;
  };
  const askHealth = async () => {
    const sinceMs = performance.now();
    const answer = await fetch(`http://127.0.0.1:${gateway.httpPort}/health`);
    if (answer.status !== 200) throw new Error(`/health answered ${answer.status}`);
    await answer.arrayBuffer();
    seen.slowestHealthMs = Math.max(seen.slowestHealthMs, performance.now() - sinceMs);
  };
  // The first call of each loads code and opens a connection.
  await Promise.all([takeTurn(), askHealth()]);
  Object.assign(seen, { longestGapMs: 0, slowestHealthMs: 0 });
  const startMebibytes = gateway.memory();
  let over = false;
  const untilOver = async (act: () => Promise<void> | void) => {
    do {
      await act();
      await new Promise((resolve) => setTimeout(resolve, 5));
    } while (!over && seen.error === undefined);
  };
  const watch = (act: () => Promise<void> | void) =>
    untilOver(act).catch((error: unknown) => {
      seen.error ??= error;
    });
  const watches = [
    watch(takeTurn),
    watch(askHealth),
    watch(() => {
      grownMebibytes = Math.max(grownMebibytes, gateway.memory() - startMebibytes);
    }),
  ];
  try {
    await attack();
  } finally {
    over = true;
    await Promise.all(watches);
  }
  return { ...seen, grownMebibytes };
}
