/** How to speak a text. */
export type Voice = {
  /** A voice by the provider's own name. A provider that has no such voice uses its default. */
  readonly name?: string;
  /** A BCP 47 language tag: `en-US`. */
  readonly language?: string;
  /**
   * How many texts of the same turn are heard before this one; 0 if absent. A voice with a queue speaks
   * first what is heard first. Only the turn knows it.
   */
  readonly queuePosition?: number;
  /**
   * Whose text it is: compared by identity, never sent anywhere. A voice with a queue serves these in
   * turn, so that no device keeps the others waiting. Absent: the text is on its own.
   */
  readonly queueKey?: unknown;
};

/** When a word of the text is heard. Samples count from the start of the text's audio. */
export type WordTiming = {
  /** The word, spelled as in the text. */
  readonly word: string;
  /** Where it begins in the text, in UTF-16 units. */
  readonly textStart: number;
  readonly startSample: number;
  /** The first sample after it. */
  readonly endSample: number;
};

/** A piece of speech: mono PCM. */
export type SpeechPart = {
  /** Samples, signed 16 bit. Never empty. */
  readonly pcm: Int16Array;
  /** Samples a second, the same in every part of one text. */
  readonly sampleRateHz: number;
  /**
   * Words whose timing became known with this part, in order, each once. They may lie ahead of the
   * samples so far, never behind the end of the audio.
   */
  readonly words?: readonly WordTiming[];
};

/**
 * A voice.
 *
 * `synthesize` speaks one sentence (or clause) with at least one letter or digit, and yields its audio
 * in order as it is made. It throws a `ProviderError` when the provider fails. When the signal fires it
 * promptly throws the signal's reason, with everything released.
 */
export type Synthesizer = {
  /** The tier's name in settings, logs and `/status`: `local`. */
  readonly name: string;
  /**
   * The languages that it speaks, as the first part of BCP 47 tags: `en`. Absent: any. It is not asked to
   * speak another, unless the client names a voice of that language: `fi-FI-…`.
   */
  readonly languages?: readonly string[];
  /**
   * The names of its voices, the default one first; empty if its voice has no name. Absent: not known, and
   * any name may be one of them.
   */
  readonly voices?: readonly string[];
  /** Whether it takes a name that `voices` does not list. Never if absent. */
  takesVoice?(name: string): boolean;
  /** True if it makes sound without words: it speaks only where every voice is down. */
  readonly isLastResort?: boolean;
  /** True if it times every word. Otherwise timings are estimated. */
  readonly hasWordTimings?: boolean;
  /** Times the configured timeouts, for a voice that needs longer by nature. 1 if absent. */
  readonly timeoutMultiplier?: number;
  /**
   * Milliseconds that the call with this signal has waited in the voice's own queue so far, and for the
   * voice to load. Such waits are no silence of the provider: they count against no timeout.
   */
  queuedMs?(signal: AbortSignal): number;
  /** Clauses that its own queue holds, those that are being spoken included. */
  queueDepth?(): number;
  /** 0 while the voice can take another turn; else about how many milliseconds until it can. */
  overloadMs?(): number;
  synthesize(text: string, voice: Voice, signal: AbortSignal): AsyncIterable<SpeechPart>;
  /**
   * Prepares, while the user still speaks, what a turn's first text would wait for: a connection, say.
   * Called again with the same signal it replaces what was lost since. Resolves when all is ready. A
   * rejection is ignored. What was prepared is released when the signal fires, unless a text has taken
   * it.
   */
  prepare?(signal: AbortSignal): Promise<void>;
  /** Called once, before the first `synthesize`. */
  start?(signal: AbortSignal): Promise<void>;
  /** Called once, after the last `synthesize`. Frees everything. */
  stop?(): Promise<void>;
};
