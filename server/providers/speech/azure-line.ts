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
import { abortable, onAbort, throwIfAborted } from "../../core/abort.ts";
import { type Channel, createChannel } from "../../core/channel.ts";
import { ProviderError } from "../../core/errors.ts";
import { faultOf } from "./azure-faults.ts";
import { formatMessage, type SpeechMessage } from "./azure-frames.ts";
import { openSpeechSocket, type SpeechSocket } from "./azure-socket.ts";
import type { SpokenWord } from "./ssml-words.ts";

/** What a line is opened with. */
export type AzureLineOptions = {
  readonly apiKey: string;
  /** The service: `wss://westeurope.tts.speech.microsoft.com`. */
  readonly host: string;
  readonly connectTimeoutMs: number;
  /** How long the service may be silent while its next sound is waited for. */
  readonly idleTimeoutMs: number;
};

/** What the service says while it speaks a document. Sound is 48 kHz, 16 bit, mono, in any cuts. */
export type AzureEvent =
  | { readonly type: "sound"; readonly bytes: Uint8Array }
  | { readonly type: "word"; readonly word: SpokenWord };

/** A synthesizer of the SDK with a connection of its own, which lasts for several documents. */
export type AzureLine = {
  /** Resolves when it is connected; rejects with the `ProviderError` that kept it from it. */
  readonly opened: Promise<void>;
  /** Resolves when the connection is over. Never rejects. */
  readonly ended: Promise<unknown>;
  isOpen(): boolean;
  /** Speaks one document; the one before has to be whole. The line is closed if it fails. */
  speak(ssml: string, signal: AbortSignal): AsyncIterable<AzureEvent>;
  /** Drops the connection at once. */
  close(): void;
};

const path = "/tts/cognitiveservices/websocket/v1";

/** Sound that waits for its reader beyond this makes the service wait. */
const mostWaitingBytes = 512 * 1024;

/** Begins to connect. */
export function openAzureLine(options: AzureLineOptions): AzureLine {
  const { apiKey, host, connectTimeoutMs, idleTimeoutMs } = options;
  const wire = createWire();
  const socket = openSpeechSocket({
    provider: "azure",
    url: new URL(path, host).href,
    headers: { "Ocp-Apim-Subscription-Key": apiKey, "X-ConnectionId": wire.id },
    connectTimeoutMs,
    onMessage: wire.take,
  });
  const config = SpeechConfig.fromHost(new URL(host), apiKey);
  config.speechSynthesisOutputFormat = SpeechSynthesisOutputFormat.Raw48Khz16BitMonoPcm;
  const synthesizer = new WiredSynthesizer(config, null);
  synthesizer.wire = wire.over(socket);
  let current: Channel<AzureEvent> | undefined;
  socket.ended.then((error) => current?.close(error));
  const close = () => {
    // The SDK's synthesizer holds nothing but the connection, and refuses to be closed twice.
    socket.terminate();
  };
  return {
    opened: socket.opened,
    ended: socket.ended,
    isOpen: socket.isOpen,
    close,
    async *speak(ssml, signal) {
      let isWhole = false;
      throwIfAborted(signal);
      // A reader that does not pull any more would not come to the end of this.
      const forget = onAbort(signal, close);
      try {
        await abortable(socket.opened, signal);
        current = createChannel(Number.POSITIVE_INFINITY, signal);
        const flow = { events: current, socket, waiting: { bytes: 0 } };
        begin(synthesizer, ssml, flow);
        yield* throttled(flow, idleTimeoutMs);
        isWhole = true;
      } finally {
        forget();
        current = undefined;
        if (!isWhole) close();
      }
    },
  };
}

/** The events of one document on their way from the socket to the reader. */
type Flow = {
  readonly events: Channel<AzureEvent>;
  readonly socket: SpeechSocket;
  /** Sound that the reader has not taken yet. */
  readonly waiting: { bytes: number };
};

/** Sets the SDK to work. Its callbacks may never come: the socket's end and the watchdog do. */
function begin(
  synthesizer: SpeechSynthesizer,
  ssml: string,
  { events, socket, waiting }: Flow,
): void {
  synthesizer.synthesizing = (_, { result }) => {
    const bytes = new Uint8Array(result.audioData);
    waiting.bytes += bytes.length;
    if (waiting.bytes > mostWaitingBytes) socket.pause();
    events.push({ type: "sound", bytes });
  };
  synthesizer.wordBoundary = (_, { text, audioOffset, duration, boundaryType }) => {
    if (String(boundaryType) !== "WordBoundary") return;
    const word = { word: text, startTicks: audioOffset, durationTicks: duration };
    events.push({ type: "word", word });
  };
  synthesizer.speakSsmlAsync(
    ssml,
    ({ reason }) => {
      const isWhole = reason === ResultReason.SynthesizingAudioCompleted;
      events.close(isWhole ? undefined : faultOf("azure", "server"));
    },
    () => events.close(faultOf("azure", "server")),
  );
}

/** Passes events on; holds the service up while too many wait, and gives it up when it is silent. */
async function* throttled(
  { events, socket, waiting }: Flow,
  idleTimeoutMs: number,
): AsyncGenerator<AzureEvent> {
  const silent = new ProviderError("azure", "timeout", `silent for ${idleTimeoutMs} ms`);
  const iterator = events[Symbol.asyncIterator]();
  try {
    while (true) {
      const watchdog = setTimeout(() => events.close(silent), idleTimeoutMs);
      const step = await iterator.next().finally(() => clearTimeout(watchdog));
      if (step.done) return;
      waiting.bytes -= sizeOf(step.value);
      if (waiting.bytes < mostWaitingBytes / 2) socket.resume();
      yield step.value;
    }
  } finally {
    socket.resume();
    await iterator.return?.();
  }
}

function sizeOf(event: AzureEvent): number {
  return event.type === "sound" ? event.bytes.length : 0;
}

/** The SDK's synthesizer on a connection of ours. */
class WiredSynthesizer extends SpeechSynthesizer {
  wire: IConnection | undefined;

  protected override createSynthesisAdapter(
    authentication: IAuthentication,
    _factory: ISynthesisConnectionFactory,
    config: SynthesizerConfig,
  ): SynthesisAdapterBase {
    const create = async () => {
      const { wire } = this;
      this.wire = undefined;
      if (wire === undefined) throw new Error("a line connects once");
      return wire;
    };
    return super.createSynthesisAdapter(authentication, { create }, config);
  }
}

/**
 * The SDK's view of a socket. Its own connection puts the key into the address, says no more of a
 * refusal than that it was one, waits half a minute for a service that does not close, and stops
 * reading for ever at a message that it cannot read.
 */
function createWire() {
  const id = crypto.randomUUID().replaceAll("-", "");
  const waiting: ConnectionMessage[] = [];
  // The SDK begins to read anew with every document and never leaves off: only the last one counts.
  let reader: ((message: ConnectionMessage) => void) | undefined;
  const take = (message: SpeechMessage) => {
    const delivered = toSdk(message);
    const read = reader;
    reader = undefined;
    if (read) read(delivered);
    else waiting.push(delivered);
  };
  const read = () =>
    new Promise<ConnectionMessage>((resolve) => {
      const message = waiting.shift();
      if (message) resolve(message);
      else reader = resolve;
    });
  const over = (socket: SpeechSocket): IConnection => ({
    id,
    events: new EventSource<ConnectionEvent>(),
    state: () => (socket.isOpen() ? ConnectionState.Connected : ConnectionState.Disconnected),
    open: () =>
      socket.opened.then(
        () => new ConnectionOpenResponse(200, ""),
        () => new ConnectionOpenResponse(1006, "refused"),
      ),
    send: async ({ headers, textBody }) => socket.send(formatMessage({ ...headers }, textBody)),
    read,
    dispose: async () => socket.terminate(),
  });
  return { id, take, over };
}

function toSdk({ headers, body }: SpeechMessage): ConnectionMessage {
  const isSound = typeof body !== "string";
  if (!headers["x-requestid"] || (isSound && !headers["x-streamid"])) {
    throw new SyntaxError("a message that belongs to no request");
  }
  // A copy: a Buffer's own memory holds its neighbours too.
  const content = isSound ? new Uint8Array(body).buffer : body;
  return new ConnectionMessage(isSound ? MessageType.Binary : MessageType.Text, content, {
    ...headers,
  });
}
