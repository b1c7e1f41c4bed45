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
import type { SpokenWord } from "../microsoft-speech/parts.ts";
import { formatMessage, type SpeechMessage } from "../microsoft-speech/socket.ts";

/**
 * The connection that the SDK works on. Its own puts the key into the address, says no more of a
 * refusal than that it was one, waits half a minute for a service that does not close, and stops
 * reading for ever at a message that it cannot read.
 */
type SynthesisWire = {
  readonly id: string;
  /** Resolves when messages can be sent; rejects if that will never be. */
  readonly opened: Promise<void>;
  send(message: string): void;
  /** The service's next message. Of several calls the last one gets it. */
  read(): Promise<SpeechMessage>;
  /** Whether there is nothing more to be read. The SDK stops reading at once when it says so. */
  isOver(): boolean;
  close(): void;
};

/** What a synthesizer is made of. */
export type AzureSynthesizerOptions = {
  readonly apiKey: string;
  /** The service: `wss://westeurope.tts.speech.microsoft.com`. */
  readonly host: string;
  readonly wire: SynthesisWire;
};

/** Who is told what the SDK makes of the service's messages. */
type SynthesisListener = {
  /** 48 kHz, 16 bit, mono, in any cuts. */
  onSound(bytes: Uint8Array): void;
  onWord(word: SpokenWord): void;
  /** The document is whole, or the SDK gave up. May never come. */
  onEnd(isWhole: boolean): void;
};

/** Speaks a document; the one before has to be whole. */
export type AzureSynthesizer = (ssml: string, listener: SynthesisListener) => void;

/** Makes the SDK's synthesizer on a connection of ours. It holds nothing else to be closed. */
export function createAzureSynthesizer({
  apiKey,
  host,
  wire,
}: AzureSynthesizerOptions): AzureSynthesizer {
  const config = SpeechConfig.fromHost(new URL(host), apiKey);
  config.speechSynthesisOutputFormat = SpeechSynthesisOutputFormat.Raw48Khz16BitMonoPcm;
  const synthesizer = new WiredSynthesizer(config, null);
  synthesizer.connection = connectionOver(wire);
  return (ssml, { onSound, onWord, onEnd }) => {
    synthesizer.synthesizing = (_, { result }) => onSound(new Uint8Array(result.audioData));
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

class WiredSynthesizer extends SpeechSynthesizer {
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

function connectionOver({ id, opened, send, read, isOver, close }: SynthesisWire): IConnection {
  return {
    id,
    events: new EventSource<ConnectionEvent>(),
    // Looked at before every message that is read: a socket may be closed while some still wait.
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
  const isSound = typeof body !== "string";
  // A copy: a Buffer's own memory holds its neighbours too.
  const content = isSound ? new Uint8Array(body).buffer : body;
  return new ConnectionMessage(isSound ? MessageType.Binary : MessageType.Text, content, {
    ...headers,
  });
}

/** The messages of one connection on their way to the SDK, which asks for one after the other. */
export type AzureInbox<Message> = {
  /** Takes a message in. */
  put(message: Message): void;
  /**
   * The oldest message, or the next to come. Every call takes the place of the one before, which
   * never resolves if no message came for it; nor does any when the inbox is over.
   */
  take(): Promise<Message>;
  /**
   * Says that nothing more comes. Resolves when the inbox is over: the SDK has asked for more than
   * came, so that it is through with all of it, or has not asked for too long.
   */
  end(): Promise<void>;
  /** Makes it be over at once; what waits is never delivered. */
  drop(): void;
  isOver(): boolean;
};

/**
 * An SDK that reads takes what waits in one go, before any timer fires. This is for one that reads
 * no more, as it does behind a message that it chokes on.
 */
const patienceMs = 250;

/** Makes the inbox of a connection. */
export function createAzureInbox<Message extends object>(): AzureInbox<Message> {
  const waiting: Message[] = [];
  const over = Promise.withResolvers<void>();
  // The SDK begins to read anew with every document and never leaves off: only the last one counts.
  let taker: ((message: Message) => void) | undefined;
  let state: "open" | "ended" | "over" = "open";
  let timer: NodeJS.Timeout | undefined;

  const finish = () => {
    state = "over";
    waiting.length = 0;
    clearTimeout(timer);
    over.resolve();
  };
  return {
    put(message) {
      if (state !== "open") return;
      const taken = taker;
      taker = undefined;
      if (taken) taken(message);
      else waiting.push(message);
    },
    take: () =>
      new Promise((resolve) => {
        const message = waiting.shift();
        if (message) return resolve(message);
        taker = resolve;
        if (state === "ended") finish();
      }),
    end() {
      if (state !== "open") return over.promise;
      state = "ended";
      // Whoever waits for a message is through with all that came before.
      if (taker) finish();
      else timer = setTimeout(finish, patienceMs);
      return over.promise;
    },
    drop: finish,
    isOver: () => state === "over",
  };
}
