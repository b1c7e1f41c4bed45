import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import type { ReplyPart } from "../../models/language-model.ts";
import type { GeminiClient, LiveSetup } from "../gemini/client.ts";
import { socketError, thrownError } from "../gemini/errors.ts";
import type { LiveContent, LiveMessage, LiveSession } from "../gemini/live-messages.ts";
import { createReplyReader } from "./messages.ts";
import { createEndWait, type EndRules } from "./reply-end.ts";
import {
  createLiveSocket,
  createMessageQueue,
  type LiveSocket,
  type MessageQueue,
} from "./socket.ts";

/** Resumes a server session. */
export type Resumption = {
  readonly token: string;
  /** The turns that the resumed session knows, oldest first. Later ones are lost to it. */
  readonly seen: readonly string[];
};

/** Observes a connection. */
type ConnectionWatcher = {
  /** The server session can be resumed as it was when it had seen these turns. */
  onResumption?(resumption: Resumption): void;
  /** It accepts no more turns: it ended, or the server announced its end. Called once. */
  onEnding?(): void;
};

/** A Live connection after its setup: one server session, for one device. */
export type LiveConnection = {
  /** True until it ends, or the server announces its end. */
  isAlive(): boolean;
  /** True if it can run a turn: it is alive, and the turn before is complete, all its words included. */
  isUsable(): boolean;
  /** The turns that its server session has completed, oldest first. */
  seen(): readonly string[];
  /** Resolves when the connection is over. */
  readonly ended: Promise<unknown>;
  /** Replaces the watcher. Earlier events are reported at once. */
  watch(watcher: ConnectionWatcher): void;
  /**
   * Runs a turn, then yields the parts of the reply. One turn at a time. If it ends before the reply
   * does, the connection is closed: there is no other way to stop the model.
   */
  run(turn: ConnectionTurn, signal: AbortSignal): AsyncGenerator<ReplyPart>;
  /** Closes it at once. */
  close(): void;
};

/** A turn on a connection. */
type ConnectionTurn = {
  /** Sends it. */
  send(session: LiveSession): void;
  /** What the server session has seen once it has completed the turn. */
  readonly sees: readonly string[];
};

/** Options of a connection. */
export type ConnectionSetup = LiveSetup &
  EndRules & {
    /** The turns that the session to be resumed has seen. */
    readonly seen: readonly string[];
    /** Covers the connection and its setup. */
    readonly connectTimeoutMs: number;
  };

/** Turns that are remembered of a session; a history is shorter. */
const maxSeen = 64;

/** Opens a connection and sets it up. Throws `ProviderError`, or the signal's reason. */
export async function openLiveConnection(
  client: GeminiClient,
  setup: ConnectionSetup,
  signal: AbortSignal,
): Promise<LiveConnection> {
  throwIfAborted(signal);
  const socket = createLiveSocket();
  const state = new ConnectionState(client.provider, socket, setup);
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
  readonly #setup: ConnectionSetup;
  #queue: MessageQueue<LiveContent> | undefined;
  /** True until the server has completed the turn. */
  #isBusy = false;
  /** The model has finished, though the server waits as if the audio were being played. */
  #hasFinished = false;
  /** Words of the last reply may still come. Here they would be taken for the next one's. */
  #lacksWords = false;
  #isEnding = false;
  #seen: readonly string[];
  /** What it will have seen when the server has completed the turn. */
  #seesNext: readonly string[] = [];
  #resumption: Resumption | undefined;
  #watcher: ConnectionWatcher = {};

  constructor(provider: string, socket: LiveSocket, setup: ConnectionSetup) {
    this.#provider = provider;
    this.#socket = socket;
    this.#setup = setup;
    this.#seen = setup.seen;
    socket.ended.then((end) => {
      this.#queue?.fail(socketError(provider, end, true));
      this.#announceEnd();
    });
  }

  /** Receives a message. Messages outside of a turn are late and dropped. */
  readonly receive = (message: LiveMessage): void => {
    const { serverContent, goAway, sessionResumptionUpdate: update } = message;
    if (goAway) this.#announceEnd();
    // First: a token in the same message is one of the session after this turn.
    if (serverContent?.turnComplete) this.#complete(serverContent);
    // Without `resumable` the older token stays, and with it what that session had seen.
    if (update?.resumable && update.newHandle) {
      this.#resumption = { token: update.newHandle, seen: this.#seen };
      this.#watcher.onResumption?.(this.#resumption);
    }
    if (serverContent) this.#queue?.push(serverContent);
  };

  #complete({ interactionStatus }: LiveContent): void {
    this.#setup.habits.tellsStatus = interactionStatus !== undefined;
    if (interactionStatus === "IN_PROGRESS") return;
    this.#isBusy = false;
    this.#seen = [...this.#seen, ...this.#seesNext].slice(-maxSeen);
    this.#seesNext = [];
  }

  connection(): LiveConnection {
    return {
      isAlive: () => this.#isAlive(),
      isUsable: () => this.#isAlive() && !this.#isBusy && !this.#lacksWords,
      seen: () => this.#seen,
      ended: this.#socket.ended,
      watch: (watcher) => this.#watch(watcher),
      run: (turn, signal) => this.#run(turn, signal),
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
    if (this.#resumption !== undefined) watcher.onResumption?.(this.#resumption);
    if (this.#isEnding) watcher.onEnding?.();
  }

  async *#run(turn: ConnectionTurn, signal: AbortSignal) {
    throwIfAborted(signal);
    const queue = createMessageQueue<LiveContent>(this.#socket);
    // A reader that stopped pulling never reaches `finally`: the signal closes the socket.
    const removeListener = onAbort(signal, this.#socket.terminate);
    try {
      this.#begin(queue, turn);
      yield* this.#readReply(queue, signal);
    } finally {
      removeListener();
      this.#queue = undefined;
      if (!this.#hasFinished) this.#socket.terminate();
    }
  }

  #begin(queue: MessageQueue<LiveContent>, { send, sees }: ConnectionTurn): void {
    this.#queue = queue;
    this.#seesNext = sees;
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
    const end = createEndWait(this.#setup, reader);
    let reason: string | undefined;
    for (;;) {
      const waitMs = end.waitMs();
      const content = waitMs === 0 ? undefined : await queue.next(signal, waitMs);
      if (!content) break;
      for (const part of reader.read(content)) {
        throwIfAborted(signal);
        yield part;
      }
      end.see(content);
      this.#hasFinished = end.hasFinished();
      reason = content.turnCompleteReason;
    }
    this.#lacksWords = reader.lacksWords();
    reader.checkEnd(reason);
  }
}
