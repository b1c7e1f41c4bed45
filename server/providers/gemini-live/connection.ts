import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import type { ReplyPart } from "../../models/language-model.ts";
import type {
  GeminiClient,
  LiveContent,
  LiveMessage,
  LiveSession,
  LiveSetup,
} from "../gemini/client.ts";
import { socketError, thrownError } from "../gemini/errors.ts";
import { createReplyReader } from "./messages.ts";
import {
  createLiveSocket,
  createMessageQueue,
  type LiveSocket,
  type MessageQueue,
} from "./socket.ts";

/** Observes a connection. */
type ConnectionWatcher = {
  /** The server session can be resumed with this token. */
  onResumptionToken?(resumptionToken: string): void;
  /** It accepts no more turns: it ended, or the server announced its end. Called once. */
  onEnding?(): void;
};

/** A Live connection after its setup: one server session, for one device. */
export type LiveConnection = {
  /** True until it ends, or the server announces its end. */
  isAlive(): boolean;
  /** True if it can run a turn: it is alive, and the server has completed the turn before. */
  isUsable(): boolean;
  /** Replaces the watcher. Earlier events are reported at once. */
  watch(watcher: ConnectionWatcher): void;
  /**
   * Runs a turn: calls `send`, then yields the parts of the reply. One turn at a time. If it ends
   * before the reply does, the connection is closed: there is no other way to stop the model.
   */
  run(send: (session: LiveSession) => void, signal: AbortSignal): AsyncGenerator<ReplyPart>;
  /** Closes it at once. */
  close(): void;
};

/** Options of a connection. */
export type ConnectionSetup = LiveSetup & {
  /** Covers the connection and its setup. */
  readonly connectTimeoutMs: number;
};

/** How long the last words may arrive after the model has finished. */
const lateWordsMs = 250;

/** Opens a connection and sets it up. Throws `ProviderError`, or the signal's reason. */
export async function openLiveConnection(
  client: GeminiClient,
  setup: ConnectionSetup,
  signal: AbortSignal,
): Promise<LiveConnection> {
  throwIfAborted(signal);
  const socket = createLiveSocket();
  const state = new ConnectionState(client.provider, socket);
  const removeListener = onAbort(signal, socket.terminate);
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => timeout.reject(new ProviderError(client.provider, "timeout", "not connected in time")),
    setup.connectTimeoutMs,
  );
  const ended = socket.ended.then((end) => {
    throw socketError(client.provider, end, false);
  });
  try {
    // The SDK reports a failure with less detail than the socket, later, or never.
    const opened = client.openLive(setup, socket, state.receive).catch(async (error: unknown) => {
      if (socket.isOver()) await ended;
      throw thrownError(client.provider, error);
    });
    state.session = await abortable(Promise.race([opened, ended, timeout.promise]), signal);
    return state.connection();
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    removeListener();
    clearTimeout(timer);
    ended.catch(() => undefined);
  }
}

class ConnectionState {
  session: LiveSession | undefined;
  readonly #provider: string;
  readonly #socket: LiveSocket;
  #queue: MessageQueue<LiveContent> | undefined;
  /** True until the server has completed the turn. */
  #isBusy = false;
  /** The model has finished, though the server waits as if the audio were being played. */
  #hasFinished = false;
  #isEnding = false;
  #resumptionToken: string | undefined;
  #watcher: ConnectionWatcher = {};

  constructor(provider: string, socket: LiveSocket) {
    this.#provider = provider;
    this.#socket = socket;
    socket.ended.then((end) => {
      this.#queue?.fail(socketError(provider, end, true));
      this.#announceEnd();
    });
  }

  /** Receives a message. Messages outside of a turn are late and dropped. */
  readonly receive = (message: LiveMessage): void => {
    const { serverContent, goAway, sessionResumptionUpdate: update } = message;
    if (update?.resumable && update.newHandle) {
      this.#resumptionToken = update.newHandle;
      this.#watcher.onResumptionToken?.(update.newHandle);
    }
    if (goAway) this.#announceEnd();
    if (!serverContent) return;
    if (serverContent.turnComplete) this.#isBusy = false;
    this.#queue?.push(serverContent);
  };

  connection(): LiveConnection {
    return {
      isAlive: () => this.#isAlive(),
      isUsable: () => this.#isAlive() && !this.#isBusy,
      watch: (watcher) => this.#watch(watcher),
      run: (send, signal) => this.#run(send, signal),
      close: () => {
        this.#watcher = {};
        this.#socket.terminate();
      },
    };
  }

  #isAlive(): boolean {
    return !this.#isEnding && !this.#socket.isOver();
  }

  #announceEnd(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#watcher.onEnding?.();
  }

  #watch(watcher: ConnectionWatcher): void {
    this.#watcher = watcher;
    if (this.#resumptionToken !== undefined) watcher.onResumptionToken?.(this.#resumptionToken);
    if (this.#isEnding) watcher.onEnding?.();
  }

  async *#run(send: (session: LiveSession) => void, signal: AbortSignal) {
    throwIfAborted(signal);
    const queue = createMessageQueue<LiveContent>(this.#socket);
    // A reader that stopped pulling never reaches `finally`: the signal closes the socket.
    const removeListener = onAbort(signal, this.#socket.terminate);
    try {
      this.#begin(queue, send);
      yield* this.#readReply(queue, signal);
    } finally {
      removeListener();
      this.#queue = undefined;
      if (!this.#hasFinished) this.#socket.terminate();
    }
  }

  #begin(queue: MessageQueue<LiveContent>, send: (session: LiveSession) => void): void {
    this.#queue = queue;
    this.#isBusy = true;
    this.#hasFinished = false;
    if (!this.session || this.#socket.isOver()) {
      throw socketError(this.#provider, { kind: "broken", code: undefined }, true);
    }
    send(this.session);
  }

  async *#readReply(
    queue: MessageQueue<LiveContent>,
    signal: AbortSignal,
  ): AsyncGenerator<ReplyPart> {
    const reader = createReplyReader(this.#provider);
    let reason: string | undefined;
    for (;;) {
      const content = await queue.next(signal, this.#hasFinished ? lateWordsMs : undefined);
      if (!content) break;
      for (const part of reader.read(content)) {
        throwIfAborted(signal);
        yield part;
      }
      // The server completes the turn only when the audio would have been played.
      if (content.generationComplete || content.turnComplete) this.#hasFinished = true;
      reason = content.turnCompleteReason;
      if (content.turnComplete) break;
    }
    reader.checkEnd(reason);
  }
}
