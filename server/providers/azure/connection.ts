import { abortable, onAbort, throwIfAborted } from "../../core/async/abort.ts";
import { type Channel, createChannel } from "../../core/async/channel.ts";
import { ProviderError } from "../../core/errors.ts";
import { kindOf } from "../microsoft-speech/errors.ts";
import type { SpokenWord } from "../microsoft-speech/parts.ts";
import {
  openSpeechSocket,
  type SpeechMessage,
  type SpeechSocket,
} from "../microsoft-speech/socket.ts";
import { type AzureSynthesizer, createAzureInbox, createAzureSynthesizer } from "./synthesizer.ts";

/** What a connection is opened with. */
export type AzureConnectionOptions = {
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
export type AzureConnection = {
  /** Resolves when it is connected; rejects with the `ProviderError` that kept it from it. */
  readonly opened: Promise<void>;
  /** Resolves when the connection is over. Never rejects. */
  readonly ended: Promise<unknown>;
  isOpen(): boolean;
  /**
   * Speaks one document; the one before has to be whole. The connection is closed if it fails. What came
   * before the connection ended is yielded before its `ProviderError` is thrown.
   */
  speak(ssml: string, signal: AbortSignal): AsyncIterable<AzureEvent>;
  /** Drops the connection at once, and what has come but was not read. */
  close(): void;
};

const path = "/tts/cognitiveservices/websocket/v1";

/** Sound that waits for its reader beyond this makes the service wait. */
const mostWaitingBytes = 512 * 1024;

/** Begins to connect. */
export function openAzureConnection(options: AzureConnectionOptions): AzureConnection {
  const { idleTimeoutMs } = options;
  const { socket, synthesizer, end, close } = connect(options);
  let current: Channel<AzureEvent> | undefined;
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
      let isWhole = false;
      throwIfAborted(signal);
      // A reader that does not pull any more would not come to the end of this.
      const forget = onAbort(signal, close);
      try {
        await abortable(socket.opened, signal);
        if (failure) throw failure;
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

/** A socket, and the SDK at the end of it. */
type Connected = {
  readonly socket: SpeechSocket;
  readonly synthesizer: AzureSynthesizer;
  /** Says that the socket is over. Resolves when the SDK has been through all that came. */
  end(): Promise<void>;
  close(): void;
};

function connect({ apiKey, host, connectTimeoutMs }: AzureConnectionOptions): Connected {
  const id = crypto.randomUUID().replaceAll("-", "");
  const inbox = createAzureInbox<SpeechMessage>();
  const socket = openSpeechSocket({
    provider: "azure",
    url: new URL(path, host).href,
    headers: { "Ocp-Apim-Subscription-Key": apiKey, "X-ConnectionId": id },
    connectTimeoutMs,
    onMessage: (message) => {
      refuseStray(message);
      inbox.put(message);
    },
  });
  const close = () => {
    inbox.drop();
    socket.terminate();
  };
  const { opened, send } = socket;
  const wire = { id, opened, send, read: inbox.take, isOver: inbox.isOver, close };
  return {
    socket,
    synthesizer: createAzureSynthesizer({ apiKey, host, wire }),
    end: inbox.end,
    close,
  };
}

/** Throws a SyntaxError for a message that the SDK would choke on. */
function refuseStray({ headers, body }: SpeechMessage): void {
  if (!headers["x-requestid"] || (typeof body !== "string" && !headers["x-streamid"])) {
    throw new SyntaxError("a message that belongs to no request");
  }
}

/** The events of one document on their way from the socket to the reader. */
type Flow = {
  readonly events: Channel<AzureEvent>;
  readonly socket: SpeechSocket;
  /** Sound that the reader has not taken yet. */
  readonly waiting: { bytes: number };
};

/** Sets the SDK to work. Its callbacks may never come: the socket's end and the watchdog do. */
function begin(speak: AzureSynthesizer, ssml: string, { events, socket, waiting }: Flow): void {
  speak(ssml, {
    onSound(bytes) {
      waiting.bytes += bytes.length;
      if (waiting.bytes > mostWaitingBytes) socket.pause();
      events.push({ type: "sound", bytes });
    },
    onWord: (word) => events.push({ type: "word", word }),
    onEnd: (isWhole) => events.close(isWhole ? undefined : kindOf("azure", "server")),
  });
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
