import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const entry = fileURLToPath(new URL("../../server/main.ts", import.meta.url));

/** A gateway in a process of its own. */
export type Process = {
  readonly child: ChildProcess & { readonly stderr: NonNullable<ChildProcess["stderr"]> };
  readonly port: number;
  readonly exited: Promise<unknown>;
};

const processes: ChildProcess[] = [];

/** Ends whatever the tests of a file started. For `afterEach`. */
export async function endProcesses(): Promise<void> {
  for (const child of processes.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}

/** Starts the program; nobody reads what it writes before the test does. */
export function spawnGateway(env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [entry], {
    env: {
      PATH: process.env["PATH"] ?? "",
      HTTP_PORT: "0",
      GRPC_PORT: "0",
      STORAGE_ENABLED: "false",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  processes.push(child);
  return child;
}

/** Starts the gateway as `npm start` does. Nobody reads its standard error before the test does. */
export async function start(env: Readonly<Record<string, string>>): Promise<Process> {
  const child = spawnGateway(env);
  const exited = once(child, "exit").then(([code]) => code);
  let told = "";
  for await (const piece of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    told += piece;
    if (told.includes("curl")) break;
  }
  child.stdout.resume();
  return { child, port: Number(/127\.0\.0\.1:(\d+)/.exec(told)?.[1]), exited };
}

/** Asks for a turn as events. */
export const speak = (port: number, prompt: string, sessionId = "s") =>
  fetch(`http://127.0.0.1:${port}/v1/speak`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt, hardware_id: "d", session_id: sessionId, format: "sse" }),
  });

/** A line of the log. */
export type Line = { readonly level: number; readonly msg: string; readonly dropped?: number };
/** The lines of a log, which all must be JSON. */
export const linesOf = (log: string): Line[] =>
  log
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
