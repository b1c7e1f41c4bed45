import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import packageJson from "../package.json" with { type: "json" };
import { abortable, onAbort } from "../server/core/async.ts";
import type { Reading } from "./child.ts";
import type { ReplyPlan } from "./reply.ts";

/** Which server is tested. */
export type ServerKind =
  | "gateway"
  | "cluster-gateway"
  | "peer"
  | "pipeline-gateway"
  | "serial"
  | "collect-gateway"
  | "wire/raw-http2"
  | "wire/grpc-js"
  | "wire/grpc-aio"
  | "agent-gateway"
  | "agent-connect"
  | "agent-relay"
  | "analysis-serial"
  | "resume-redis";

/** A server under test in a process of its own, as the load sees it. */
export type BenchServer = {
  readonly url: string;
  /** Other servers that it started, and that act as one with it. */
  readonly others: readonly string[];
  readonly pid: number | undefined;
  /** Asks for its figures. One call at a time. Rejects if the process has ended. */
  read(): Promise<Reading>;
  /** Ends the process. Resolves when it is gone. May be called again. */
  stop(): Promise<void>;
  /** The end of what it wrote to standard error: its log, and why it died. */
  stderrTail(): string;
};

/** A server, and settings of the gateway beside the bench's own, by their names. */
export type ServerChoice = {
  readonly server: ServerKind;
  readonly settings?: Readonly<Record<string, string>>;
};

const root = fileURLToPath(new URL("..", import.meta.url));

/** How long a server may take to stop before it is killed. */
const STOP_TIMEOUT_MS = 3000;

const LAST_CHARACTERS = 2000;

/**
 * Starts a server and waits until it listens. Without a plan the gateway uses the text and the voice
 * that it ships with. The process is killed when the signal fires.
 */
export async function startServer(
  { server: kind, settings }: ServerChoice,
  plan: ReplyPlan | undefined,
  signal: AbortSignal,
): Promise<BenchServer> {
  const entry = fileURLToPath(new URL(`./${kind}.ts`, import.meta.url));
  const child = fork(
    entry,
    plan ? [plan, settings ?? null].map((each) => JSON.stringify(each)) : [],
    {
      // Where the flags find their files.
      cwd: root,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      execArgv: kind.includes("gateway") ? startFlags() : [],
    },
  );
  const forget = onAbort(signal, () => child.kill("SIGKILL"));
  const gone = watchExit(child, kind);
  const stderrTail = keepStderrTail(child);
  const hear = async () => {
    const scope = AbortSignal.any([signal, gone]);
    const [message] = await abortable(once(child, "message", { signal: scope }), scope);
    return message;
  };
  const stop = async () => {
    await end(child, gone);
    forget();
  };
  try {
    const [url = "", ...others] = ((await hear()) as string).split(" ");
    const read = async () => {
      // An error of sending is not told here: that the process has gone is.
      child.send("read", () => undefined);
      return (await hear()) as Reading;
    };
    return { url, others, pid: child.pid, read, stop, stderrTail };
  } catch (error) {
    await stop();
    throw withLastWords(error, stderrTail(), signal);
  }
}

/** Node's flags of `npm start`. */
function startFlags(): string[] {
  return packageJson.scripts.start.split(" ").filter((word) => word.startsWith("--"));
}

/** The error, and what the server said before it; the error alone if the bench was stopped. */
export function withLastWords(error: unknown, stderrTail: string, signal: AbortSignal): unknown {
  if (signal.aborted || stderrTail === "") return error;
  return new Error(`${error}\nThe server's last words:\n${stderrTail}`, { cause: error });
}

/** A signal that fires when the process has ended and all it wrote was read. */
function watchExit(child: ChildProcess, kind: ServerKind): AbortSignal {
  const gone = new AbortController();
  // Not its "close": that stays away if the load was the one to disconnect.
  const events = [once(child, "exit"), child.stderr && once(child.stderr, "close")];
  Promise.all(events).then(() => gone.abort(new Error(`the ${kind} ended by itself`)));
  return gone.signal;
}

function keepStderrTail(child: ChildProcess): () => string {
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-LAST_CHARACTERS);
  });
  return () => words;
}

async function end(child: ChildProcess, gone: AbortSignal): Promise<void> {
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    // A process that the server started may hold it open.
    child.stderr?.destroy();
  }, STOP_TIMEOUT_MS);
  if (!gone.aborted) await once(gone, "abort");
  clearTimeout(timer);
}
