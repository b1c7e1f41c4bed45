/**
 * Why a file has no result.
 * - `invalid`: the file is empty, damaged, cut short or holds no audio.
 * - `unsupported`: its format needs another decoder.
 * - `too_large`: it has more bytes, or more sound, than a file may have.
 * - `unavailable`: no model, no worker or no store can be had now.
 * - `worker`: the worker died or hung. Another run may succeed.
 */
export type AnalysisErrorKind = "invalid" | "unsupported" | "too_large" | "unavailable" | "worker";

/** A file could not be analyzed. The message is for clients: it holds no path and no address. */
export class AnalysisError extends Error {
  override readonly name = "AnalysisError";
  readonly kind: AnalysisErrorKind;
  /** For the log only: what a decoder or the model's runtime wrote. */
  readonly detail: string | undefined;

  constructor(kind: AnalysisErrorKind, message: string, detail?: string) {
    super(message);
    this.kind = kind;
    this.detail = detail;
  }
}
