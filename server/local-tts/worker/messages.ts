/** Asks the speaking process for one clause. One at a time: the answer comes before the next. */
export type SpeakRequest = {
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
