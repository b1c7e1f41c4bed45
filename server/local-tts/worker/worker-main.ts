/** Asks the speaking process for one clause. One at a time: the answer comes before the next. */
export type Clause = {
  /** Written-out text: lower-case words, apostrophes and the marks `,.!?`. */
  readonly text: string;
  /** Silence after it. */
  readonly pauseMs: number;
};

/** What the speaking process says: first `ready` or `failed`, then an answer to each request. */
export type WorkerMessage =
  | { readonly type: "ready" }
  | { readonly type: "spoken"; readonly pcm: Int16Array; readonly sampleRateHz: number }
  | {
      readonly type: "failed";
      /** For clients where `misconfigured`, and bears no path then; else for the log alone. */
      readonly message: string;
      /** True if it will fail until somebody mends a setting or brings a file. */
      readonly misconfigured: boolean;
    };

/** Turns written-out clauses into sound. Occupies its thread while it speaks. */
export type SpeechEngine = {
  readonly sampleRateHz: number;
  /** `text` as `normalizeText` makes it. The answer ends with `pauseMs` of silence. */
  speak(text: string, pauseMs: number): Promise<Int16Array>;
};

/** The voice cannot speak until somebody mends a setting or brings a file; `message` says which. */
export class WorkerMisconfigured extends Error {
  override readonly name = "WorkerMisconfigured";
}

/**
 * Makes this process, which `startWorker` started, speak for its gateway until that ends it.
 *
 * It is a process and not a worker because the model's run is one synchronous call into native
 * code: it would hold up the gateway's event loop, and ending a worker in the middle of it aborts
 * the whole gateway. `create` imports what it needs, so that a missing package is told and not only
 * printed.
 */
export function runWorker(create: () => Promise<SpeechEngine>): void {
  // The gateway decides when it ends: a signal to the whole group must not silence its last turns.
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
