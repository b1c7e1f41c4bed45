import { onAbort, throwIfAborted } from "../../core/async/abort.ts";
import type {
  LanguageModel,
  Prompt,
  PromptContext,
  ReplyPart,
} from "../../models/language-model.ts";
import { withoutRepeat } from "../continuation.ts";
import { createGeminiClient, type GeminiAccess } from "../gemini/client.ts";
import { isLost, isRefusal } from "../gemini/errors.ts";
import { instructionOf } from "../gemini/prompt.ts";
import { type LiveConnection, openLiveConnection } from "./connection.ts";
import {
  type Conversation,
  createConversations,
  dropIdle,
  enter,
  forgetSession,
  noteSeen,
  takeIdle,
  unseenOf,
} from "./conversations.ts";
import { createJpegConverter, type JpegConverter } from "./jpeg-converter.ts";
import { sendTurn } from "./messages.ts";
import { createWarmPool, type WarmPool } from "./warm-pool.ts";

/** What the `gemini-live` tier is made of. */
export type GeminiLiveOptions = GeminiAccess & {
  /** `gemini-3.8-live` */
  readonly model: string;
  /** How the assistant is to behave. */
  readonly systemPrompt?: string | undefined;
  /** Whether the model may search the web; false if absent. */
  readonly search?: boolean | undefined;
  /** What the model answers in: `audio` (if absent) or `text`. */
  readonly modality?: "audio" | "text" | undefined;
  /** The vendor's name of a voice; its own choice if absent. */
  readonly voice?: string | undefined;
  /** Connections that stand ready; 2 if absent, 0 for none. */
  readonly warmConnections?: number | undefined;
  /** How long a conversation's connection is kept between turns; 60 s if absent. */
  readonly idleMs?: number | undefined;
  /** How long a connection may take to be ready; 10 s if absent. */
  readonly connectTimeoutMs?: number | undefined;
  /** Conversations whose server sessions are remembered; 1000 if absent. */
  readonly conversations?: number | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined;
  /** Told why a warm cannot be opened: a wrong key shows here before anybody asks. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Told why a turn went on without its screenshot: it could not be converted. */
  readonly onScreenshotDropped?: ((error: unknown) => void) | undefined;
  /** Makes JPEGs; by the package for it if absent. */
  readonly toJpeg?: JpegConverter | undefined;
};

const name = "gemini-live";
/** How long the vendor keeps a session that can be gone on with, less a margin. */
const tokenLifeMs = 115 * 60_000;
/** A turn may wait for a connection that is being prepared; so it gets less time than a turn's own. */
const prepareTimeoutMs = 3_000;

/**
 * A model of Google's that speaks by itself, over a Live connection. Yields its voice and the
 * transcript, or text if it answers in text.
 *
 * A device's conversation is one server session, which no other device ever gets: its connection is
 * kept between turns, and its resumption token for two hours, so that the next connection goes on with it. A
 * cancel closes the connection; turns of one conversation run one after another. A screenshot goes
 * as JPEG, the one format that the vendor's tables name for Live; where it cannot be made one, the
 * turn goes on without it.
 *
 * Faults: as the vendor tells them; "authorization" also if it refuses the connection's settings;
 * "unsupported" if its policy stops a reply; "protocol" if an answer cannot be read or is empty.
 */
export function createGeminiLiveModel(options: GeminiLiveOptions): LanguageModel {
  const tier = new Tier(options);
  return {
    name,
    generate: (prompt, signal) => withoutRepeat(tier.generate(prompt, signal), prompt.prefix),
    prepare: (context, signal) => tier.prepare(context, signal),
    start: async () => tier.warmConnections.fill(),
    stop: () => tier.stop(),
  };
}

class Tier {
  readonly warmConnections: WarmPool;
  readonly #options: GeminiLiveOptions;
  readonly #client: ReturnType<typeof createGeminiClient>;
  readonly #conversations: ReturnType<typeof createConversations>;
  readonly #now: () => number;
  readonly #toJpeg: JpegConverter;
  #stopped = false;

  constructor(options: GeminiLiveOptions) {
    this.#options = options;
    this.#client = createGeminiClient(name, options);
    this.#conversations = createConversations(options.conversations ?? 1000);
    this.#now = options.now ?? (() => performance.now());
    this.#toJpeg = options.toJpeg ?? createJpegConverter();
    const open = (signal: AbortSignal) => this.#open(undefined, signal);
    const { warmConnections: count = 2, onError } = options;
    this.warmConnections = createWarmPool({ count, open, now: this.#now, onError });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#conversations.clear();
    await this.warmConnections.stop();
  }

  async *generate(prompt: Prompt, signal: AbortSignal): AsyncGenerator<ReplyPart> {
    throwIfAborted(signal);
    const conversation = this.#conversations.of(prompt);
    const leave = await enter(conversation, signal);
    // The next turn may come before anybody pulls this one again.
    const forget = onAbort(signal, leave);
    try {
      yield* this.#runTurn(conversation, await this.#withJpeg(prompt, signal), signal);
    } finally {
      forget();
      leave();
    }
  }

  async #withJpeg(prompt: Prompt, signal: AbortSignal): Promise<Prompt> {
    const { screenshot, ...rest } = prompt;
    if (!screenshot) return prompt;
    try {
      return { ...rest, screenshot: await this.#toJpeg(screenshot, signal) };
    } catch (error) {
      throwIfAborted(signal);
      this.#options.onScreenshotDropped?.(error);
      return rest;
    }
  }

  /**
   * Has the conversation's next turn find a connection that is its own: the one of its last turn, a
   * warm, or a new one that goes on with its server session. A turn that comes meanwhile waits for
   * it. While a turn runs there is nothing to prepare: its end decides which session comes next.
   */
  async prepare(context: PromptContext, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (context.deviceId === undefined || this.#stopped) return;
    const conversation = this.#conversations.of(context);
    if (conversation.pending > 0) return;
    const leave = await enter(conversation, signal);
    try {
      const isPrepared = conversation.idle?.forget !== undefined;
      const kept = this.#takeKept(conversation, context);
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(prepareTimeoutMs)]);
      const waiting = kept ?? this.#takeWarm(conversation);
      const connection = waiting ?? (await this.#connect(conversation, inTime));
      if (signal.aborted || this.#stopped) return connection.close();
      // What the last turn left is kept for its own time, whether a turn comes now or not.
      const isLeft = kept !== undefined && !isPrepared;
      const forget = isLeft ? undefined : onAbort(signal, () => dropIdle(conversation));
      this.#keep(conversation, connection, forget);
    } finally {
      leave();
    }
  }

  async *#runTurn(conversation: Conversation, prompt: Prompt, signal: AbortSignal) {
    const waiting = this.#takeKept(conversation, prompt) ?? this.#takeWarm(conversation);
    if (waiting) {
      const turn = { conversation, prompt, connection: waiting, begun: false };
      try {
        yield* this.#runOn(turn, signal);
        return;
      } catch (error) {
        throwIfAborted(signal);
        // It may have died of old age just now, which says nothing about the service.
        if (turn.begun || !isLost(error)) throw error;
      }
    }
    const connection = await this.#connect(conversation, signal);
    yield* this.#runOn({ conversation, prompt, connection, begun: false }, signal);
  }

  /** Runs the turn, and keeps the connection for the next one if it is any good then. */
  async *#runOn(turn: Turn, signal: AbortSignal): AsyncGenerator<ReplyPart> {
    const { conversation, prompt, connection } = turn;
    const unseen = unseenOf(conversation, prompt.history) ?? [];
    connection.watch({ onResumptionToken: this.#keeperOf(conversation) });
    try {
      const isFirst = conversation.seen.length === 0;
      const asked = { model: this.#options.model, prompt, unseen, isFirst };
      for await (const part of connection.run((session) => sendTurn(session, asked), signal)) {
        turn.begun = true;
        yield part;
      }
      noteSeen(conversation, [...unseen.map(({ user }) => user), prompt.text]);
    } finally {
      this.#settle(turn, signal);
    }
    this.warmConnections.fill();
  }

  #settle({ conversation, prompt, connection }: Turn, signal: AbortSignal): void {
    const keep = prompt.deviceId !== undefined && !this.#stopped && !signal.aborted;
    if (!keep || !connection.isAlive()) {
      connection.close();
      return;
    }
    this.#keep(conversation, connection);
  }

  /** Keeps the connection for the conversation's next turn. */
  #keep(conversation: Conversation, connection: LiveConnection, forget?: () => void): void {
    const drop = () => dropIdle(conversation);
    const timer = setTimeout(drop, this.#options.idleMs ?? 60_000);
    timer.unref();
    conversation.idle = { connection, timer, ...(forget && { forget }) };
    connection.watch({ onResumptionToken: this.#keeperOf(conversation), onUseless: drop });
  }

  #keeperOf(conversation: Conversation): (resumptionToken: string) => void {
    return (value) => {
      conversation.resumptionToken = { value, atMs: this.#now() };
    };
  }

  /** The conversation's own connection, if it still fits. Forgets a past that is not the prompt's. */
  #takeKept(conversation: Conversation, { history }: PromptContext): LiveConnection | undefined {
    const kept = takeIdle(conversation);
    if (unseenOf(conversation, history) === undefined) forgetSession(conversation);
    else if (kept?.isUsable()) return kept;
    kept?.close();
    return undefined;
  }

  /** One that stands ready, unless the conversation has a session to go on with. */
  #takeWarm(conversation: Conversation): LiveConnection | undefined {
    if (this.#tokenOf(conversation) !== undefined) return undefined;
    forgetSession(conversation);
    const warm = this.warmConnections.take();
    if (warm) this.warmConnections.fill();
    return warm;
  }

  async #connect(conversation: Conversation, signal: AbortSignal): Promise<LiveConnection> {
    const resumptionToken = this.#tokenOf(conversation);
    try {
      if (resumptionToken !== undefined) return await this.#open(resumptionToken, signal);
    } catch (error) {
      throwIfAborted(signal);
      if (!isRefusal(error)) throw error;
    }
    forgetSession(conversation);
    return this.#open(undefined, signal);
  }

  #tokenOf({ resumptionToken }: Conversation): string | undefined {
    return resumptionToken && this.#now() - resumptionToken.atMs < tokenLifeMs
      ? resumptionToken.value
      : undefined;
  }

  #open(resumptionToken: string | undefined, signal: AbortSignal): Promise<LiveConnection> {
    const { model, modality = "audio", systemPrompt, search, voice } = this.#options;
    const connectTimeoutMs = this.#options.connectTimeoutMs ?? 10_000;
    const instruction = instructionOf(systemPrompt);
    const setup = {
      model,
      modality,
      instruction,
      search,
      voice,
      resumptionToken,
      connectTimeoutMs,
    };
    return openLiveConnection(this.#client, setup, signal);
  }
}

type Turn = {
  readonly conversation: Conversation;
  readonly prompt: Prompt;
  readonly connection: LiveConnection;
  /** Whether a part of the reply has come. */
  begun: boolean;
};
