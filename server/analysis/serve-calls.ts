import { AnalysisError } from "./errors.ts";

/**
 * Answers the calls of the process that started this one (`startChild`), one after another, until that
 * process ends.
 */
export function serveCalls<Request>(answer: (request: Request) => Promise<unknown>): void {
  // The gateway ends its workers: a signal to the whole group must not.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => undefined);
  process.on("disconnect", endGroup);
  process.on("message", async (request: Request) => {
    const reply = await answer(request).then(
      (value) => ({ answer: value }),
      (error) => ({ failure: failureOf(error) }),
    );
    process.send?.(reply, undefined, undefined, () => undefined);
  });
}

/** What this process started must not outlive the gateway either. */
function endGroup(): void {
  if (process.platform === "win32") process.exit();
  process.kill(-process.pid, "SIGKILL");
}

function failureOf(error: unknown) {
  if (error instanceof AnalysisError) {
    const { kind, message, detail } = error;
    return { kind, message, ...(detail !== undefined && { detail }) };
  }
  return { kind: "worker", message: "it failed", detail: String(error) };
}
