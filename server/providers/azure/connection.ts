import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import type { ProviderError } from "../../core/errors.ts";
import { speechError } from "../microsoft-speech/errors.ts";
import type { WordBoundary } from "../microsoft-speech/parts.ts";
import {
  createReceiveBuffer,
  openSpeechSocket,
  type ReceiveBuffer,
  type SpeechMessage,
  type SpeechSocket,
} from "../microsoft-speech/socket.ts";
import {
  type AzureSynthesizer,
  createAzureSynthesizer,
  createMessageQueue,
} from "./synthesizer.ts";

/** Options of a connection. */
export type AzureConnectionOptions = {
  readonly apiKey: string;
  /** The service: `wss://westeurope.tts.speech.microsoft.com`. */
  readonly host: string;
  readonly connectTimeoutMs: number;
  /** How long the service may send nothing while its next audio is awaited. */
  readonly idleTimeoutMs: number;
};

/** What the service sends of a document. Audio is 48 kHz, 16 bit, mono, split anywhere. */
export type AzureEvent =
  | { readonly type: "audio"; readonly bytes: Uint8Array }
  | { readonly type: "word"; readonly word: WordBoundary };

/** An SDK synthesizer with its own connection, for one document after another. */
export type AzureConnection = {
  /** Resolves when it is connected; rejects with the `ProviderError` that prevented it. */
  readonly opened: Promise<void>;
  /** Resolves when the connection ends. Never rejects. */
  readonly ended: Promise<unknown>;
  isOpen(): boolean;
  /**
   * Speaks one document; the one before must be complete. Events that came before the connection
   * ended are yielded before its `ProviderError` is thrown. After a failure it is closed.
   */
  speak(ssml: string, signal: AbortSignal): AsyncIterable<AzureEvent>;
  /** Closes the connection at once and discards what was not read. */
  close(): void;
};

const path = "/tts/cognitiveservices/websocket/v1";

/** Audio that the reader has not taken yet; above it the service has to wait. */
const maxBufferedBytes = 512 * 1024;

/** Begins to connect. */
export function openAzureConnection(options: AzureConnectionOptions): AzureConnection {
  const { idleTimeoutMs } = options;
  const { socket, synthesizer, end, close } = connect(options);
  let current: ReceiveBuffer<AzureEvent> | undefined;
  let failure: ProviderError | undefined;
  socket.ended.then(async (error) => {
    failure = error;
    if (!current) return close();
    const events = current;
    await end();
    events.close(error);
  });
  return {
    opened: socket.opened,
    ended: socket.ended,
    isOpen: socket.isOpen,
    close,
    async *speak(ssml, signal) {
      let isComplete = false;
      throwIfAborted(signal);
      // A reader that stopped pulling never reaches `finally`.
      const removeListener = onAbort(signal, close);
      try {
        await abortable(socket.opened, signal);
        if (failure) throw failure;
        current = createEventBuffer(socket, signal);
        synthesize(synthesizer, ssml, current);
        yield* current.read(idleTimeoutMs);
        isComplete = true;
      } finally {
        removeListener();
        current = undefined;
        if (!isComplete) close();
      }
    },
  };
}

function createEventBuffer(socket: SpeechSocket, signal: AbortSignal): ReceiveBuffer<AzureEvent> {
  const sizeOf = (event: AzureEvent) => (event.type === "audio" ? event.bytes.length : 0);
  return createReceiveBuffer(
    { provider: "azure", socket, limit: maxBufferedBytes, sizeOf },
    signal,
  );
}

/** A socket, and the SDK's synthesizer on top of it. */
type Connected = {
  readonly socket: SpeechSocket;
  readonly synthesizer: AzureSynthesizer;
  /** Signals the end of the socket. Resolves when the SDK has processed all messages. */
  end(): Promise<void>;
  close(): void;
};

function connect({ apiKey, host, connectTimeoutMs }: AzureConnectionOptions): Connected {
  const id = crypto.randomUUID().replaceAll("-", "");
  const messages = createMessageQueue<SpeechMessage>();
  const socket = openSpeechSocket({
    provider: "azure",
    url: new URL(path, host).href,
    headers: { "Ocp-Apim-Subscription-Key": apiKey, "X-ConnectionId": id },
    connectTimeoutMs,
    onMessage: (message) => {
      checkMessage(message);
      messages.push(message);
    },
  });
  const close = () => {
    messages.discard();
    socket.terminate();
  };
  const { opened, send } = socket;
  const transport = { id, opened, send, read: messages.read, isOver: messages.isOver, close };
  return {
    socket,
    synthesizer: createAzureSynthesizer({ apiKey, host, transport }),
    end: messages.end,
    close,
  };
}

/** Throws a SyntaxError for a message that would make the SDK stop reading. */
function checkMessage({ headers, body }: SpeechMessage): void {
  if (!headers["x-requestid"] || (typeof body !== "string" && !headers["x-streamid"])) {
    throw new SyntaxError("a message that belongs to no request");
  }
}

/** Starts the SDK. Its callbacks may never come; the socket's end and the idle timeout do. */
function synthesize(
  synthesizer: AzureSynthesizer,
  ssml: string,
  events: ReceiveBuffer<AzureEvent>,
): void {
  synthesizer(ssml, {
    onAudio: (bytes) => events.push({ type: "audio", bytes }),
    onWord: (word) => events.push({ type: "word", word }),
    onEnd: (isComplete) => events.close(isComplete ? undefined : speechError("azure", "server")),
  });
}
