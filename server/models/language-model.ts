import type { ImageType } from "../core/images/image.ts";
import type { CallFacts } from "../core/outcomes.ts";

/**
 * A picture of the user's screen for a model, together with the prompt. A provider sends it in a format
 * that the vendor documents.
 */
export type Screenshot = {
  /** The image file, 8 MiB at most. */
  readonly bytes: Uint8Array;
  readonly mimeType: ImageType;
  /** Pixels of the picture itself, read from its header. */
  readonly width: number;
  readonly height: number;
};

/** One earlier turn of a session: what the user said, and the reply as far as it was heard. */
export type MessagePair = {
  readonly user: string;
  /** If it was cut, it ends behind a word, and with a mark that says so: a model should know. */
  readonly assistant: string;
  /** True if the user cut it, so that the rest was not heard. */
  readonly interrupted?: true;
  /** The turn's id. Turns with the same words differ by it. */
  readonly turnId?: string;
};

/** What the user said, as sound: mono 16-bit PCM, never empty. */
export type SpokenPrompt = { readonly pcm: Int16Array; readonly sampleRateHz: 16_000 };

/** All that a model gets of a turn. */
export type Prompt = {
  /** The user's words. Blank only where they came as `audio`. */
  readonly text: string;
  /** The user's words as sound. Only a model that `hears` gets it; others get what such a model heard. */
  readonly audio?: SpokenPrompt;
  /** The turn's id, as in the history of the turns after it. */
  readonly turnId?: string;
  /** The device. What a provider keeps for one device it never uses for another. */
  readonly deviceId?: string;
  /** The session that the prompt belongs to. */
  readonly sessionId?: string;
  readonly screenshot?: Screenshot;
  /** Width and height of the user's screen in pixels, if known. */
  readonly screen?: { readonly width: number; readonly height: number };
  /** Earlier turns of the session, oldest first. */
  readonly history?: readonly MessagePair[];
  /** The client's own instructions, in place of the gateway's. */
  readonly instructions?: string;
  /**
   * What is remembered of the user from earlier conversations: text that says what it is, with the facts
   * fenced as data. A provider passes it on as it stands, beside the user's words and never among the
   * instructions.
   */
  readonly memory?: string;
  /**
   * The beginning of the reply, which the user has already: it came from a model that failed midway.
   * The model continues from exactly here, and repeats none of it; it adds nothing if nothing is
   * missing. Never empty.
   */
  readonly prefix?: string;
  /** The call's place in its trace, as W3C's `traceparent`, for a provider of this house to pass on. */
  readonly traceparent?: string;
  /** Told what the vendor says of the call: tokens, and why the reply ended. Optional for a provider. */
  readonly onFacts?: (facts: CallFacts) => void;
};

/** What is known of a turn before its prompt is: whose it will be, and what was said before. */
export type PromptContext = Pick<Prompt, "deviceId" | "sessionId" | "history" | "memory">;

/**
 * A piece of a reply, in order.
 * - `text`: a delta to be spoken. The deltas joined are the reply.
 * - `audio`: sound of a model that speaks by itself: mono 16-bit PCM, never empty, at one rate
 *   throughout.
 * - `transcript`: a delta of the words of such sound. The deltas joined are the reply.
 * - `heard`: a delta of the words in the prompt's `audio`. No part of the reply; it may come at any time.
 * A language model yields either text, or audio and transcript.
 */
export type ReplyPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "transcript"; readonly text: string }
  | { readonly type: "heard"; readonly text: string }
  | { readonly type: "audio"; readonly pcm: Int16Array; readonly sampleRateHz: number };

/**
 * A source of replies.
 *
 * `generate` yields parts as the provider makes them and ends with the reply. It throws a
 * `ProviderError` when the provider fails. When the signal fires it promptly throws the signal's
 * reason, with everything released. It fetches a part only when one is pulled.
 */
export type LanguageModel = {
  /** The tier's name in settings, logs and `/status`: `offline`. */
  readonly name: string;
  /** True if it cannot continue a prefix: it is asked only for a reply from its start. */
  readonly startsOnly?: boolean;
  /** True if it takes a prompt's `audio`. */
  readonly hears?: boolean;
  generate(prompt: Prompt, signal: AbortSignal): AsyncIterable<ReplyPart>;
  /**
   * Prepares, while the user still speaks, what a turn of this context would wait for: a connection,
   * say. Does nothing for what is ready; called again with the same signal it replaces what was lost
   * since. Resolves when all is ready. A rejection is ignored. What was prepared for this context only
   * is released when the signal fires, unless a turn has taken it.
   */
  prepare?(context: PromptContext, signal: AbortSignal): Promise<void>;
  /** Called once, before the first `generate`. */
  start?(signal: AbortSignal): Promise<void>;
  /** Called once, after the last `generate`. Frees everything. */
  stop?(): Promise<void>;
};
