import type { ImageType } from "../core/images/image.ts";

/**
 * A picture of the user's screen that goes to a model together with the prompt. A provider gives it
 * to its model in a format that the vendor documents.
 */
export type Screenshot = {
  /** The image file, 8 MiB at most. */
  readonly bytes: Uint8Array;
  readonly mimeType: ImageType;
  /** Pixels of the picture itself, read from its header. */
  readonly width: number;
  readonly height: number;
};

/** One earlier turn of a conversation, in full. */
export type MessagePair = { readonly user: string; readonly assistant: string };

/** Everything that a model is asked. */
export type Prompt = {
  /** The user's words, never blank. */
  readonly text: string;
  /** The device that asks: what a provider keeps for one device it never uses for another. */
  readonly deviceId?: string;
  /** The conversation that the prompt belongs to. */
  readonly sessionId?: string;
  readonly screenshot?: Screenshot;
  /** Width and height of the user's screen in pixels, if the client told them. */
  readonly screen?: { readonly width: number; readonly height: number };
  /** Earlier turns of the conversation, oldest first. */
  readonly history?: readonly MessagePair[];
  /** What is remembered of the user from other conversations, in words. */
  readonly memory?: string;
  /**
   * The part of the reply that the user has got already, from a language model that failed midway. The
   * language model goes on from exactly here, and repeats none of it. Never empty.
   */
  readonly prefix?: string;
};

/** What is known of a turn before its prompt is: who will ask, and what was said before. */
export type PromptContext = Pick<Prompt, "deviceId" | "sessionId" | "history" | "memory">;

/**
 * A piece of a reply, in order.
 * - `text`: a delta that is to be spoken. Joined as they stand the deltas are the reply.
 * - `audio`: the voice of a model that speaks by itself: mono 16-bit PCM, never empty, at one rate
 *   throughout. It is not spoken again.
 * - `transcript`: a delta of the words of such a voice. Joined they are the reply.
 * A language model yields either text, or audio and transcript.
 */
export type ReplyPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "transcript"; readonly text: string }
  | { readonly type: "audio"; readonly pcm: Int16Array; readonly sampleRateHz: number };

/**
 * A source of replies.
 *
 * `generate` yields parts as the provider makes them and ends when the reply is whole. It throws a
 * `ProviderError` when the provider fails and the signal's own reason when the signal fires, then
 * promptly and with everything released. It is pulled: what is not asked for is not fetched.
 */
export type LanguageModel = {
  /** The tier's name in settings, logs and `/status`: `offline`. */
  readonly name: string;
  /** Milliseconds more that the first part of a call may take that is made now. Read at each call. */
  readonly firstPartMs?: number;
  generate(prompt: Prompt, signal: AbortSignal): AsyncIterable<ReplyPart>;
  /**
   * Makes ready, while the user still speaks, what a turn of this context would wait for: a
   * connection, say. Opens nothing if that stands ready; called again with the same signal it puts
   * right what was lost since. Resolves when it is ready. A rejection concerns nobody. What was made
   * for this context alone is released when the signal fires, unless a turn has taken it.
   */
  prepare?(context: PromptContext, signal: AbortSignal): Promise<void>;
  /** Makes it ready; before the first `generate`. */
  start?(signal: AbortSignal): Promise<void>;
  /** Frees everything; after the last `generate`. */
  stop?(): Promise<void>;
};
