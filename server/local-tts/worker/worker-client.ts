import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart } from "../../models/synthesizer.ts";
import type { Clause, WorkerMessage } from "./worker-main.ts";

const keptErrorText = 4_096;

/** The worker exited or was killed because it hung. Another worker may speak the clause. */
export class WorkerLost extends ProviderError {}

/** A worker process. */
export type WorkerClient = {
  /** Resolves when the voice can speak; rejects with a `ProviderError` if it never will. */
  readonly ready: Promise<void>;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  /** Speaks a clause, after `ready` and after the clause before. Throws a `ProviderError`. */
  speak(request: Clause): Promise<SpeechPart>;
  /** Kills the process at once. */
  close(): Promise<void>;
};

/** Options of a worker. */
export type WorkerOptions = {
  /** The tier's name, for errors. */
  readonly provider: string;
  /** A module that calls `runWorker`. */
  readonly program: URL;
  /** The program's arguments. */
  readonly args?: readonly string[];
  /** A worker that exceeds one is killed, and the call fails with `WorkerLost`. */
  readonly readyTimeoutMs: number;
  readonly speakTimeoutMs: number;
};

/** Starts a worker. */
export function startWorker(options: WorkerOptions): WorkerClient {
  const { provider, program, args = [], readyTimeoutMs, speakTimeoutMs } = options;
  const child = fork(program, args, {
    // It needs no settings, so it gets no secrets.
    env: {},
    execArgv: [],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const errorText = endOfText(child.stderr);
  const ended = endOf(child);
  return {
    ready: receive(child, "ready", { provider, errorText, timeoutMs: readyTimeoutMs }).then(
      () => undefined,
    ),
    ended,
    async speak(request) {
      const answer = receive(child, "spoken", { provider, errorText, timeoutMs: speakTimeoutMs });
      if (child.connected) child.send(request, () => undefined);
      const { pcm, sampleRateHz } = await answer;
      return { pcm, sampleRateHz };
    },
    async close() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Reads a stream, and keeps the end of its text. */
function endOfText(stream: ChildProcess["stderr"]): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (piece: string) => {
    text = (text + piece).slice(-keptErrorText);
  });
  stream?.on("error", () => undefined);
  return () => text;
}

async function endOf(child: ChildProcess): Promise<void> {
  // Without a listener an "error" event would be thrown: the process could not be started.
  const failed = Promise.withResolvers<void>();
  child.on("error", () => failed.resolve());
  await Promise.race([once(child, "exit").catch(() => undefined), failed.promise]);
}

type Receiving = {
  readonly provider: string;
  /** The end of what the process wrote to stderr. */
  readonly errorText: () => string;
  readonly timeoutMs: number;
};

/** Waits for the next message, which must be of this type. Kills a process that does not respond. */
async function receive<Type extends "ready" | "spoken">(
  child: ChildProcess,
  type: Type,
  { provider, errorText, timeoutMs }: Receiving,
): Promise<Extract<WorkerMessage, { type: Type }>> {
  const waiting = new AbortController();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    waiting.abort(new WorkerLost(provider, "timeout", "the worker did not respond in time"));
  }, timeoutMs);
  const onEnd = () => {
    const detail = errorText() || undefined;
    waiting.abort(new WorkerLost(provider, "server", "the worker exited", { detail }));
  };
  child.once("exit", onEnd);
  child.once("error", onEnd);
  try {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) onEnd();
    const [message]: WorkerMessage[] = await once(child, "message", { signal: waiting.signal });
    return accept(message, type, provider);
  } catch (error) {
    throw waiting.signal.aborted ? waiting.signal.reason : error;
  } finally {
    clearTimeout(timer);
    child.off("exit", onEnd);
    child.off("error", onEnd);
  }
}

function accept<Type extends WorkerMessage["type"]>(
  message: WorkerMessage | undefined,
  type: Type,
  provider: string,
): Extract<WorkerMessage, { type: Type }> {
  if (message?.type === type) return message as Extract<WorkerMessage, { type: Type }>;
  const failure = message?.type === "failed" ? message : undefined;
  if (failure?.misconfigured) {
    throw new ProviderError(
      provider,
      "authorization",
      `the voice cannot speak: ${failure.message}`,
    );
  }
  // Messages of the runtime or a package may contain paths.
  const detail = failure?.message ?? "an unexpected message";
  throw new ProviderError(provider, "server", "the voice cannot speak", { detail });
}
