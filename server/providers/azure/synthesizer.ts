import {
  ResultReason,
  SpeechConfig,
  SpeechSynthesisOutputFormat,
  SpeechSynthesizer,
} from "microsoft-cognitiveservices-speech-sdk";
import {
  type ConnectionEvent,
  ConnectionMessage,
  ConnectionOpenResponse,
  ConnectionState,
  EventSource,
  type IConnection,
  MessageType,
} from "microsoft-cognitiveservices-speech-sdk/distrib/lib/src/common/Exports.js";
import type {
  IAuthentication,
  ISynthesisConnectionFactory,
  SynthesisAdapterBase,
  SynthesizerConfig,
} from "microsoft-cognitiveservices-speech-sdk/distrib/lib/src/common.speech/Exports.js";
import type { WordBoundary } from "../microsoft-speech/parts.ts";
import { formatMessage, type SpeechMessage } from "../microsoft-speech/socket.ts";

/**
 * The transport that the SDK runs on. The SDK's own puts the key into the address, reports a refusal
 * without its status, waits 30 s for a service that does not close, and stops reading at a message
 * that it cannot parse.
 */
type SynthesisTransport = {
  readonly id: string;
  /** Resolves when messages can be sent; rejects if they never can. */
  readonly opened: Promise<void>;
  send(message: string): void;
  /** The service's next message. Of several pending calls the last one gets it. */
  read(): Promise<SpeechMessage>;
  /** True if there is nothing more to read. The SDK then stops reading at once. */
  isOver(): boolean;
  close(): void;
};

/** Options of a synthesizer. */
export type AzureSynthesizerOptions = {
  readonly apiKey: string;
  /** The service: `wss://westeurope.tts.speech.microsoft.com`. */
  readonly host: string;
  readonly transport: SynthesisTransport;
};

/** Receives what the SDK reads from the service's messages. */
type SynthesisListener = {
  /** 48 kHz, 16 bit, mono, split anywhere. */
  onAudio(bytes: Uint8Array): void;
  onWord(word: WordBoundary): void;
  /** The document is complete, or the SDK gave up. May never be called. */
  onEnd(isComplete: boolean): void;
};

/** Speaks a document; the one before must be complete. */
export type AzureSynthesizer = (ssml: string, listener: SynthesisListener) => void;

/** Creates the SDK's synthesizer on our transport. Nothing else in it needs closing. */
export function createAzureSynthesizer({
  apiKey,
  host,
  transport,
}: AzureSynthesizerOptions): AzureSynthesizer {
  const config = SpeechConfig.fromHost(new URL(host), apiKey);
  config.speechSynthesisOutputFormat = SpeechSynthesisOutputFormat.Raw48Khz16BitMonoPcm;
  const synthesizer = new TransportSynthesizer(config, null);
  synthesizer.connection = connectionOver(transport);
  return (ssml, { onAudio, onWord, onEnd }) => {
    synthesizer.synthesizing = (_, { result }) => onAudio(new Uint8Array(result.audioData));
    synthesizer.wordBoundary = (_, { text, audioOffset, duration, boundaryType }) => {
      if (String(boundaryType) !== "WordBoundary") return;
      onWord({ word: text, startTicks: audioOffset, durationTicks: duration });
    };
    synthesizer.speakSsmlAsync(
      ssml,
      ({ reason }) => onEnd(reason === ResultReason.SynthesizingAudioCompleted),
      () => onEnd(false),
    );
  };
}

/** Makes the SDK use the connection that it is given. */
class TransportSynthesizer extends SpeechSynthesizer {
  connection: IConnection | undefined;

  protected override createSynthesisAdapter(
    authentication: IAuthentication,
    _factory: ISynthesisConnectionFactory,
    config: SynthesizerConfig,
  ): SynthesisAdapterBase {
    const create = async () => {
      const { connection } = this;
      this.connection = undefined;
      if (connection === undefined) throw new Error("a synthesizer connects once");
      return connection;
    };
    return super.createSynthesisAdapter(authentication, { create }, config);
  }
}

function connectionOver(transport: SynthesisTransport): IConnection {
  const { id, opened, send, read, isOver, close } = transport;
  return {
    id,
    events: new EventSource<ConnectionEvent>(),
    // Checked before each message: the socket may have closed while messages are still queued.
    state: () => (isOver() ? ConnectionState.Disconnected : ConnectionState.Connected),
    open: () =>
      opened.then(
        () => new ConnectionOpenResponse(200, ""),
        () => new ConnectionOpenResponse(1006, "refused"),
      ),
    send: async ({ headers, textBody }) => send(formatMessage({ ...headers }, textBody)),
    read: async () => toSdk(await read()),
    dispose: async () => close(),
  };
}

function toSdk({ headers, body }: SpeechMessage): ConnectionMessage {
  const isAudio = typeof body !== "string";
  // A copy: a Buffer shares its memory with others.
  const content = isAudio ? new Uint8Array(body).buffer : body;
  return new ConnectionMessage(isAudio ? MessageType.Binary : MessageType.Text, content, {
    ...headers,
  });
}

/** The messages of one connection, for the SDK, which reads one after the other. */
export type MessageQueue<Message> = {
  push(message: Message): void;
  /**
   * The oldest message, or the next one. A call replaces a pending one before it, which then never
   * resolves; nor does any call once the queue is over.
   */
  read(): Promise<Message>;
  /**
   * Ends the queue. Resolves when it is over: when the SDK asks for more than was pushed, so that it
   * has processed everything, or has not asked for too long.
   */
  end(): Promise<void>;
  /** Ends the queue at once; queued messages are never delivered. */
  discard(): void;
  isOver(): boolean;
};

/**
 * The SDK reads everything that is queued before a timer fires, unless it stopped reading at a
 * message that it cannot process. This timeout is for that case.
 */
const readTimeoutMs = 250;

/** Creates the queue of a connection. */
export function createMessageQueue<Message extends object>(): MessageQueue<Message> {
  const queued: Message[] = [];
  const over = Promise.withResolvers<void>();
  // The SDK starts a new read loop for each document and stops none: only the last read counts.
  let reader: ((message: Message) => void) | undefined;
  let state: "open" | "ended" | "over" = "open";
  let timer: NodeJS.Timeout | undefined;

  const finish = () => {
    state = "over";
    queued.length = 0;
    clearTimeout(timer);
    over.resolve();
  };
  return {
    push(message) {
      if (state !== "open") return;
      const waiting = reader;
      reader = undefined;
      if (waiting) waiting(message);
      else queued.push(message);
    },
    read: () =>
      new Promise((resolve) => {
        const message = queued.shift();
        if (message) return resolve(message);
        reader = resolve;
        if (state === "ended") finish();
      }),
    end() {
      if (state !== "open") return over.promise;
      state = "ended";
      // A waiting reader has processed everything.
      if (reader) finish();
      else timer = setTimeout(finish, readTimeoutMs);
      return over.promise;
    },
    discard: finish,
    isOver: () => state === "over",
  };
}
