/** A clause to speak. The gateway sends one at a time: the response comes before the next. */
export type Clause = {
  /** Normalized text: lower-case words, apostrophes and the marks `,.!?`. */
  readonly text: string;
  /** Silence after it. */
  readonly pauseMs: number;
};

/** A message of the worker: first `ready` or `failed`, then a response to each clause. */
export type WorkerMessage =
  | { readonly type: "ready" }
  | { readonly type: "spoken"; readonly pcm: Int16Array; readonly sampleRateHz: number }
  | {
      readonly type: "failed";
      /** For clients, and without any path, if `misconfigured`; else for the log only. */
      readonly message: string;
      /** True if it fails until a setting or file is corrected. */
      readonly misconfigured: boolean;
    };

/** Synthesizes normalized clauses. Blocks its thread while it runs. */
export type SpeechEngine = {
  readonly sampleRateHz: number;
  /** `text` as `normalizeText` returns it. The audio ends with `pauseMs` of silence. */
  speak(text: string, pauseMs: number): Promise<Int16Array>;
};

/** The voice cannot speak until a setting or file is corrected; `message` says which. */
export class WorkerMisconfigured extends Error {
  override readonly name = "WorkerMisconfigured";
}

/**
 * Runs this process, started by `startWorker`, as a worker until the gateway ends it.
 *
 * It is a process, not a thread, because a run of the model is one synchronous call into native
 * code: on the main thread it would block the event loop, and terminating a thread during a run
 * aborts the whole gateway. `create` imports what it needs, so that a missing package is reported.
 */
export function runWorker(create: () => Promise<SpeechEngine>): void {
  // The gateway ends its workers: a signal to the whole group must not cut off its last turns.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => undefined);
  process.on("disconnect", () => process.exit());
  run(create).catch((error) => send(failureOf(error), () => process.exit(1)));
}

async function run(create: () => Promise<SpeechEngine>): Promise<void> {
  const engine = await create();
  process.on("message", (request: Clause) => void answer(engine, request));
  send({ type: "ready" });
}

async function answer(engine: SpeechEngine, { text, pauseMs }: Clause): Promise<void> {
  try {
    const pcm = await engine.speak(text, pauseMs);
    send({ type: "spoken", pcm, sampleRateHz: engine.sampleRateHz });
  } catch (error) {
    send(failureOf(error));
  }
}

function failureOf(error: unknown): WorkerMessage {
  const misconfigured = error instanceof WorkerMisconfigured;
  return {
    type: "failed",
    message: error instanceof Error ? error.message : String(error),
    misconfigured,
  };
}

function send(message: WorkerMessage, onSent?: () => void): void {
  process.send?.(message, undefined, undefined, () => onSent?.());
}
