import { onAbort, throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import { limitTime } from "../../core/time-limit.ts";
import type {
  LanguageModel,
  Prompt,
  PromptContext,
  ReplyPart,
} from "../../models/language-model.ts";
import { withoutRepeat } from "../continuation.ts";
import type { LiveSession } from "../gemini/live-messages.ts";
import type { LiveConnection, Resumption } from "./connection.ts";
import { type Connector, type ConnectorOptions, createConnector } from "./connector.ts";
import {
  type Conversation,
  createConversations,
  dropIdle,
  enter,
  seenAfter,
  takeIdle,
  unseenOf,
  withoutSeenMemory,
} from "./conversations.ts";
import { createJpegConverter, type JpegConverter } from "./jpeg-converter.ts";
import { sendTurn } from "./messages.ts";
import { createWarmPool, type WarmPool } from "./warm-pool.ts";

/** Options of the `gemini-live` tier. */
export type GeminiLiveOptions = ConnectorOptions & {
  /** Connections kept ready for new conversations; 2 if absent. */
  readonly warmConnections?: number | undefined;
  /** How long a conversation's connection is kept between turns; 60,000 if absent. */
  readonly idleMs?: number | undefined;
  /** Conversations whose server sessions can be resumed; 1000 if absent. */
  readonly conversations?: number | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly now?: (() => number) | undefined;
  /** Called when a warm connection cannot be opened: the key may be wrong. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Called when a screenshot cannot be converted; the turn continues without it. */
  readonly onScreenshotDropped?: ((error: unknown) => void) | undefined;
  /** Converts screenshots to JPEG; by the image package if absent. */
  readonly toJpeg?: JpegConverter | undefined;
};

const name = "gemini-live";
/** How long a resumption token is valid, less a margin. */
const tokenLifetimeMs = 115 * 60_000;
/** A turn may wait for a prepared connection, so it gets less time than the turn's own. */
const prepareTimeoutMs = 3_000;

/**
 * A Google model that answers in audio, over a Live connection. Yields the audio and its transcript.
 *
 * A device's conversation is one server session, never shared with another device. Its connection is
 * kept between turns, and its resumption token for two hours, so that a new connection can resume the
 * session. A cancel closes the connection. Turns of one conversation run one after another. A
 * screenshot is sent as JPEG, the one format documented for Live.
 *
 * Errors: as the vendor reports them; `authorization` also if it refuses the setup; `unsupported` if
 * its policy stops a reply; `protocol` if a response is malformed or empty.
 */
export function createGeminiLiveModel(options: GeminiLiveOptions): LanguageModel {
  const tier = new Tier(options);
  return {
    name,
    hears: true,
    generate: (prompt, signal) => withoutRepeat(tier.generate(prompt, signal), prompt.prefix),
    prepare: (context, signal) => tier.prepare(context, signal),
    start: async () => tier.warmConnections.fill(),
    stop: () => tier.stop(),
  };
}

class Tier {
  readonly warmConnections: WarmPool;
  readonly #options: GeminiLiveOptions;
  readonly #connector: Connector;
  readonly #conversations: ReturnType<typeof createConversations>;
  readonly #now: () => number;
  readonly #toJpeg: JpegConverter;
  #stopped = false;

  constructor(options: GeminiLiveOptions) {
    this.#options = options;
    this.#conversations = createConversations(options.conversations ?? 1000);
    this.#now = options.now ?? (() => performance.now());
    this.#toJpeg = options.toJpeg ?? createJpegConverter();
    this.#connector = createConnector(options, () => this.#makeRoom());
    this.warmConnections = createWarmPool({
      count: options.warmConnections ?? 2,
      hasRoom: this.#connector.hasRoom,
      open: this.#connector.openSpare,
      now: this.#now,
      onError: options.onError,
    });
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
    // The next turn may start before this one is pulled again.
    const removeListener = onAbort(signal, leave);
    try {
      yield* this.#runTurn(conversation, await this.#withJpeg(prompt, signal), signal);
    } finally {
      removeListener();
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
   * Prepares a connection for the conversation's next turn: that of its last turn, a warm one, or a
   * new one that resumes its server session. A turn that starts meanwhile waits for it. While a turn
   * runs there is nothing to prepare: its end decides which session comes next.
   */
  async prepare(context: PromptContext, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (context.deviceId === undefined || this.#stopped) return;
    const conversation = this.#conversations.of(context);
    if (conversation.pending > 0) return;
    const leave = await enter(conversation, signal);
    const time = limitTime(signal, prepareTimeoutMs);
    try {
      const isPrepared = conversation.idle?.removeListener !== undefined;
      const kept = this.#takeKept(conversation, context);
      const ready = kept ?? this.#takeWarm(conversation);
      const connection = ready ?? (await this.#connect(conversation, time.signal));
      if (signal.aborted || this.#stopped) return connection.close();
      // A connection of the last turn keeps its own idle timeout, whether a turn comes now or not.
      const isOfLastTurn = kept !== undefined && !isPrepared;
      const removeListener = isOfLastTurn
        ? undefined
        : onAbort(signal, () => dropIdle(conversation));
      this.#keep(conversation, connection, removeListener);
    } finally {
      time.clear();
      leave();
    }
  }

  async *#runTurn(conversation: Conversation, prompt: Prompt, signal: AbortSignal) {
    const ready = this.#takeKept(conversation, prompt) ?? this.#takeWarm(conversation);
    if (ready) {
      const turn = { conversation, prompt, connection: ready, hasBegun: false };
      try {
        yield* this.#runOn(turn, signal);
        return;
      } catch (error) {
        throwIfAborted(signal);
        // It may just have expired, which says nothing about the service.
        if (turn.hasBegun || !isLost(error)) throw error;
      }
    }
    const connection = await this.#connect(conversation, signal);
    yield* this.#runOn({ conversation, prompt, connection, hasBegun: false }, signal);
  }

  /** Runs the turn, then keeps the connection for the next one if it is still usable. */
  async *#runOn(turn: Turn, signal: AbortSignal): AsyncGenerator<ReplyPart> {
    const { conversation, prompt, connection } = turn;
    const seen = connection.seen();
    const unseen = unseenOf(seen, prompt.history) ?? [];
    connection.watch({ onResumption: this.#resumptionKeeper(conversation) });
    try {
      const { model } = this.#options;
      const sent = { model, prompt: withoutSeenMemory(prompt, seen), unseen };
      const sees = seenAfter(unseen, prompt);
      const send = (session: LiveSession) => sendTurn(session, sent);
      for await (const part of connection.run({ send, sees }, signal)) {
        turn.hasBegun = true;
        yield part;
      }
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
  #keep(conversation: Conversation, connection: LiveConnection, removeListener?: () => void): void {
    const drop = () => dropIdle(conversation);
    const timer = setTimeout(drop, this.#options.idleMs ?? 60_000);
    timer.unref();
    conversation.idle = { connection, timer, ...(removeListener && { removeListener }) };
    connection.watch({ onResumption: this.#resumptionKeeper(conversation), onEnding: drop });
  }

  #resumptionKeeper(conversation: Conversation): (resumption: Resumption) => void {
    return (resumption) => {
      conversation.resumption = { ...resumption, atMs: this.#now() };
    };
  }

  /** The conversation's own connection, if usable. Drops a session whose history is not the prompt's. */
  #takeKept(conversation: Conversation, { history }: PromptContext): LiveConnection | undefined {
    const kept = takeIdle(conversation);
    const { resumption } = conversation;
    if (resumption && !unseenOf(resumption.seen, history)) conversation.resumption = undefined;
    if (kept?.isUsable() && unseenOf(kept.seen(), history)) return kept;
    kept?.close();
    return undefined;
  }

  /** A warm connection, unless the conversation has a session to resume. */
  #takeWarm(conversation: Conversation): LiveConnection | undefined {
    if (this.#resumptionOf(conversation) !== undefined) return undefined;
    const warm = this.warmConnections.take();
    if (warm) this.warmConnections.fill();
    return warm;
  }

  #makeRoom(): boolean {
    return this.warmConnections.giveUp() || this.#conversations.giveUpIdle();
  }

  async #connect(conversation: Conversation, signal: AbortSignal): Promise<LiveConnection> {
    const resumption = this.#resumptionOf(conversation);
    try {
      if (resumption !== undefined) return await this.#connector.open(resumption, signal);
    } catch (error) {
      throwIfAborted(signal);
      if (!isRefusal(error)) throw error;
    }
    conversation.resumption = undefined;
    return this.#connector.open(undefined, signal);
  }

  #resumptionOf({ resumption }: Conversation): Resumption | undefined {
    return resumption && this.#now() - resumption.atMs < tokenLifetimeMs ? resumption : undefined;
  }
}

type Turn = {
  readonly conversation: Conversation;
  readonly prompt: Prompt;
  readonly connection: LiveConnection;
  /** True once a part of the reply has come. */
  hasBegun: boolean;
};

/** The connection or the server behind it is gone: a new connection may work. */
function isLost(error: unknown): boolean {
  if (!(error instanceof ProviderError)) return false;
  return error.kind === "connectivity" || error.kind === "server";
}

/** The server answered and refused, possibly because of the resumption token. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof ProviderError)) return false;
  return error.kind === "authorization" || error.kind === "server";
}
