import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart } from "../../models/synthesizer.ts";
import type { Clause, WorkerMessage } from "./worker-main.ts";

const keptErrorText = 4_096;

/** The process that spoke a clause is gone, or was ended because it hung: another may speak it. */
export class WorkerLost extends ProviderError {}

/** A process that speaks. */
export type WorkerClient = {
  /** Settles once: when the voice can speak, or when it never will (a `ProviderError`). */
  readonly ready: Promise<void>;
  /** Fulfilled when the process has ended. */
  readonly ended: Promise<void>;
  /** Speaks one clause, after `ready` and after the clause before. Throws a `ProviderError`. */
  speak(request: Clause): Promise<SpeechPart>;
  /** Ends the process, at once and in the middle of anything. */
  close(): Promise<void>;
};

/** What a speaking process is opened with. */
export type WorkerOptions = {
  /** The tier that it speaks for, to name in errors. */
  readonly provider: string;
  /** A program that serves one voice, by `runWorker`. */
  readonly program: URL;
  /** What the program is told. */
  readonly args?: readonly string[];
  /** Limits on a process that hangs: it is ended, and the call fails with `WorkerLost`. */
  readonly readyTimeoutMs: number;
  readonly speakTimeoutMs: number;
};

/** Starts the speaking process. */
export function startWorker(options: WorkerOptions): WorkerClient {
  const { provider, program, args = [], readyTimeoutMs, speakTimeoutMs } = options;
  const child = fork(program, args, {
    // It needs no setting, so it gets no secret either.
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

/** Reads what a process writes to its standard error, and keeps the last of it. */
function endOfText(stream: ChildProcess["stderr"]): () => string {
  let text = "";
  stream?.setEncoding("utf8").on("data", (piece: string) => {
    text = (text + piece).slice(-keptErrorText);
  });
  stream?.on("error", () => undefined);
  return () => text;
}

async function endOf(child: ChildProcess): Promise<void> {
  // Without a listener an "error" (it could not be started) would be thrown into the gateway.
  const failed = Promise.withResolvers<void>();
  child.on("error", () => failed.resolve());
  await Promise.race([once(child, "exit").catch(() => undefined), failed.promise]);
}

type Receiving = {
  readonly provider: string;
  /** The last that the process wrote to its standard error. */
  readonly errorText: () => string;
  readonly timeoutMs: number;
};

/** Waits for the next message, which must be of this type. A process that does not answer is ended. */
async function receive<Type extends "ready" | "spoken">(
  child: ChildProcess,
  type: Type,
  { provider, errorText, timeoutMs }: Receiving,
): Promise<Extract<WorkerMessage, { type: Type }>> {
  const waiting = new AbortController();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    waiting.abort(new WorkerLost(provider, "timeout", "the voice does not answer"));
  }, timeoutMs);
  const onEnd = () => {
    const detail = errorText() || undefined;
    waiting.abort(new WorkerLost(provider, "server", "the voice has ended", { detail }));
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
  // Such a message is the runtime's or a package's, and may name any path.
  const detail = failure?.message ?? "an unexpected answer";
  throw new ProviderError(provider, "server", "the voice cannot speak", { detail });
}
