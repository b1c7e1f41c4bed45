import { abortable, onAbort, throwIfAborted } from "../../core/async/abort.ts";
import { ProviderError } from "../../core/errors.ts";
import type { ReplyPart } from "../../models/language-model.ts";
import type {
  GeminiClient,
  LiveContent,
  LiveMessage,
  LiveSession,
  LiveSetup,
} from "../gemini/client.ts";
import { socketFault, thrownFault } from "../gemini/errors.ts";
import { createReplyReader } from "./messages.ts";
import { createInbox, createLiveSocket, type Inbox, type LiveSocket } from "./socket.ts";

/** Who is told what happens to a connection. */
type ConnectionWatcher = {
  /** The server session can be gone on with under this resumption token. */
  onResumptionToken?(resumptionToken: string): void;
  /** It takes no more turns: it ended, or the server said that it will. Told once. */
  onUseless?(): void;
};

/** A Live connection that was set up: one server session, for one device. */
export type LiveConnection = {
  /** True until it ends, or the server says that it will. */
  isAlive(): boolean;
  /** True if a turn can be run on it: it is alive, and the server is done with the turn before. */
  isUsable(): boolean;
  /** Replaces the watcher; an event that came before is told at once. */
  watch(watcher: ConnectionWatcher): void;
  /**
   * Runs a turn: `send` asks, the parts of the reply follow. One at a time. However it ends before
   * the reply does, the connection is closed, for there is no other way to stop the model.
   */
  run(send: (session: LiveSession) => void, signal: AbortSignal): AsyncGenerator<ReplyPart>;
  /** Drops it at once. */
  close(): void;
};

/** What a connection is opened with. */
export type ConnectionSetup = LiveSetup & {
  /** How long it may take to be ready. */
  readonly connectTimeoutMs: number;
};

/** Once the model has said that it is done: how long the last words may be on their way. */
const lastWordsMs = 250;

/** Opens a connection and sets it up. Throws `ProviderError`, or the signal's reason. */
export async function openLiveConnection(
  client: GeminiClient,
  setup: ConnectionSetup,
  signal: AbortSignal,
): Promise<LiveConnection> {
  throwIfAborted(signal);
  const socket = createLiveSocket();
  const state = new ConnectionState(client.provider, socket);
  const forget = onAbort(signal, socket.terminate);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new ProviderError(client.provider, "timeout", "not connected in time")),
    setup.connectTimeoutMs,
  );
  const ended = socket.ended.then((end) => {
    throw socketFault(client.provider, end, false);
  });
  try {
    // What the SDK says of a failure is less than the socket says, and comes later or never.
    const opened = client.openLive(setup, socket, state.receive).catch(async (error: unknown) => {
      if (socket.isOver()) await ended;
      throw thrownFault(client.provider, error);
    });
    state.session = await abortable(Promise.race([opened, ended, late.promise]), signal);
    return state.connection();
  } catch (error) {
    socket.terminate();
    throw error;
  } finally {
    forget();
    clearTimeout(timer);
    ended.catch(() => undefined);
  }
}

class ConnectionState {
  session: LiveSession | undefined;
  readonly #provider: string;
  readonly #socket: LiveSocket;
  #inbox: Inbox<LiveContent> | undefined;
  /** A reply whose end has not come. */
  #unfinished = false;
  /** The model has said all of it, though the server may go on as if it were being heard. */
  #said = false;
  #leaving = false;
  #resumptionToken: string | undefined;
  #watcher: ConnectionWatcher = {};

  constructor(provider: string, socket: LiveSocket) {
    this.#provider = provider;
    this.#socket = socket;
    socket.ended.then((end) => {
      this.#inbox?.fail(socketFault(provider, end, true));
      this.#leave();
    });
  }

  /** Takes a message. What belongs to no turn is dropped: it is late. */
  readonly receive = (message: LiveMessage): void => {
    const { serverContent, goAway, sessionResumptionUpdate: update } = message;
    if (update?.resumable && update.newHandle) {
      this.#resumptionToken = update.newHandle;
      this.#watcher.onResumptionToken?.(update.newHandle);
    }
    if (goAway) this.#leave();
    if (!serverContent) return;
    if (serverContent.turnComplete) this.#unfinished = false;
    this.#inbox?.put(serverContent);
  };

  connection(): LiveConnection {
    return {
      isAlive: () => this.#isAlive(),
      isUsable: () => this.#isAlive() && !this.#unfinished,
      watch: (watcher) => this.#watch(watcher),
      run: (send, signal) => this.#run(send, signal),
      close: () => {
        this.#watcher = {};
        this.#socket.terminate();
      },
    };
  }

  #isAlive(): boolean {
    return !this.#leaving && !this.#socket.isOver();
  }

  #leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#watcher.onUseless?.();
  }

  #watch(watcher: ConnectionWatcher): void {
    this.#watcher = watcher;
    if (this.#resumptionToken !== undefined) watcher.onResumptionToken?.(this.#resumptionToken);
    if (this.#leaving) watcher.onUseless?.();
  }

  async *#run(send: (session: LiveSession) => void, signal: AbortSignal) {
    throwIfAborted(signal);
    const inbox = createInbox<LiveContent>(this.#socket);
    // A reader that nobody pulls any more never reaches `finally`: the signal closes the socket.
    const forget = onAbort(signal, this.#socket.terminate);
    try {
      this.#begin(inbox, send);
      yield* this.#readReply(inbox, signal);
    } finally {
      forget();
      this.#inbox = undefined;
      if (!this.#said) this.#socket.terminate();
    }
  }

  #begin(inbox: Inbox<LiveContent>, send: (session: LiveSession) => void): void {
    this.#inbox = inbox;
    this.#unfinished = true;
    this.#said = false;
    if (!this.session || this.#socket.isOver()) {
      throw socketFault(this.#provider, { kind: "broken", code: undefined }, true);
    }
    send(this.session);
  }

  async *#readReply(inbox: Inbox<LiveContent>, signal: AbortSignal): AsyncGenerator<ReplyPart> {
    const reader = createReplyReader(this.#provider);
    let reason: string | undefined;
    for (;;) {
      const content = await inbox.take(signal, this.#said ? lastWordsMs : undefined);
      if (!content) break;
      for (const part of reader.read(content)) {
        throwIfAborted(signal);
        yield part;
      }
      // A model that pretends to be speaking tells the end of the turn when it would be silent.
      if (content.generationComplete || content.turnComplete) this.#said = true;
      reason = content.turnCompleteReason;
      if (content.turnComplete) break;
    }
    reader.checkEnd(reason);
  }
}
