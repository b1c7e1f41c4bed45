/** How a text is to be spoken. */
export type Voice = {
  /** A voice by the provider's own name. A provider that has no such voice uses its default. */
  readonly name?: string;
  /** A BCP 47 language tag: `en-US`. */
  readonly language?: string;
  /**
   * How many texts of the same turn will be heard before this one. A voice that cannot speak for
   * everybody at once speaks first what is needed first.
   */
  readonly queuePosition?: number;
  /**
   * Whose text it is: compared by identity, never sent anywhere. Such a voice is shared out fairly
   * among these, so that no device keeps the others waiting. Absent: the text is on its own.
   */
  readonly queueKey?: unknown;
};

/** When a word of the text is heard. Samples count from the start of this text's audio. */
export type WordTiming = {
  /** The word as it stands in the text. */
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
   * samples that have come, never behind the end of the audio.
   */
  readonly words?: readonly WordTiming[];
};

/**
 * A voice.
 *
 * `synthesize` speaks one sentence (or clause) that holds at least one letter or digit, and yields
 * its audio in order as it is made. It throws a `ProviderError` when the provider fails, and the
 * signal's own reason when the signal fires, then promptly and with everything released.
 */
export type Synthesizer = {
  /** The tier's name in settings, logs and `/status`: `local`. */
  readonly name: string;
  /** True if it tells the timing of every word. Where none is told it is estimated. */
  readonly hasWordTimings?: boolean;
  /** How many times as long as other voices it may be waited for. 1 unless said otherwise. */
  readonly timeoutMultiplier?: number;
  /**
   * Milliseconds more that the first part of a call may take that is made now: while it loads what
   * it speaks with, or while others are before it. Read at each call.
   */
  readonly firstPartMs?: number;
  synthesize(text: string, voice: Voice, signal: AbortSignal): AsyncIterable<SpeechPart>;
  /**
   * Makes ready, while the user still speaks, what a turn's first text would wait for: a connection,
   * say. Called again with the same signal it puts right what was lost since. Resolves when it is
   * ready. A rejection concerns nobody. What was made for it alone is released when the signal fires,
   * unless a text has taken it.
   */
  prepare?(signal: AbortSignal): Promise<void>;
  /** Makes it ready; before the first `synthesize`. */
  start?(signal: AbortSignal): Promise<void>;
  /** Frees everything; after the last `synthesize`. */
  stop?(): Promise<void>;
};
