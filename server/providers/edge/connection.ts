import { createHash, randomBytes } from "node:crypto";
import { abortable, onAbort } from "../../core/async/abort.ts";
import { type Channel, createChannel } from "../../core/async/channel.ts";
import { ProviderError } from "../../core/errors.ts";
import type { Refusal } from "../microsoft-speech/errors.ts";
import {
  formatMessage,
  openSpeechSocket,
  type SpeechMessage,
  type SpeechSocket,
} from "../microsoft-speech/socket.ts";

/** What a connection to the service is opened with. */
export type EdgeLineOptions = {
  readonly endpoint: string;
  readonly connectTimeoutMs: number;
  /** The service's time, as far as it is known. */
  readonly timeMs: number;
  readonly onRefusal: (refusal: Refusal) => void;
};

/** A connection to the service, good for one document. */
export type EdgeConnection = Pick<SpeechSocket, "opened" | "ended" | "isOpen"> & {
  readonly socket: SpeechSocket;
  /** Hands every message to the listener from now on; those before are nobody's. */
  listen(listener: (message: SpeechMessage) => void): void;
  close(): void;
};

const config = {
  context: {
    synthesis: {
      audio: {
        metadataoptions: { sentenceBoundaryEnabled: "false", wordBoundaryEnabled: "true" },
        outputFormat: "audio-24khz-48kbitrate-mono-mp3",
      },
    },
  },
};

/** Messages that wait for their reader beyond this many make the service wait. */
const mostWaiting = 16;

/** Begins to connect. */
export function openEdgeLine(options: EdgeLineOptions): EdgeConnection {
  const { endpoint, timeMs, connectTimeoutMs, onRefusal } = options;
  let onMessage: (message: SpeechMessage) => void = () => undefined;
  const socket = openSpeechSocket({
    provider: "edge",
    url: edgeAddress(endpoint, timeMs),
    headers: edgeHeaders(),
    connectTimeoutMs,
    onRefusal,
    onMessage: (message) => onMessage(message),
  });
  const { opened, ended, isOpen, terminate: close } = socket;
  const listen = (listener: typeof onMessage) => {
    onMessage = listener;
  };
  return { socket, opened, ended, isOpen, listen, close };
}

/**
 * Has one document spoken on a connection that is its alone, and yields the service's messages up to the
 * end of the turn, which is not among them. Throws the `ProviderError` of what went wrong, or the
 * signal's reason; the connection is dropped at once either way.
 */
export async function* runEdgeSession(
  ssml: string,
  {
    connection,
    idleTimeoutMs,
  }: { readonly connection: EdgeConnection; readonly idleTimeoutMs: number },
  signal: AbortSignal,
): AsyncGenerator<SpeechMessage> {
  const messages = createChannel<SpeechMessage>(Number.POSITIVE_INFINITY, signal);
  const waiting = { messages: 0 };
  const { socket } = connection;
  connection.listen((message) => {
    if (message.headers["path"] === "turn.end") return messages.close();
    messages.push(message);
    waiting.messages += 1;
    if (waiting.messages > mostWaiting) socket.pause();
  });
  // A reader that does not pull any more would not come to the end of this.
  const forget = onAbort(signal, socket.terminate);
  socket.ended.then((error) => messages.close(error));
  try {
    await abortable(socket.opened, signal);
    ask(socket, ssml);
    for await (const message of watched(messages, idleTimeoutMs)) {
      waiting.messages -= 1;
      if (waiting.messages < mostWaiting / 2) socket.resume();
      yield message;
    }
  } finally {
    forget();
    messages.close();
    socket.terminate();
  }
}

function ask(socket: SpeechSocket, ssml: string): void {
  const stamp = new Date().toISOString();
  const json = { "X-Timestamp": stamp, "Content-Type": "application/json; charset=utf-8" };
  socket.send(formatMessage({ ...json, Path: "speech.config" }, JSON.stringify(config)));
  const head = { "X-RequestId": createId(), "Content-Type": "application/ssml+xml" };
  socket.send(formatMessage({ ...head, "X-Timestamp": `${stamp}Z`, Path: "ssml" }, ssml));
}

/** Passes messages on, and gives the service up when it is silent while one is waited for. */
async function* watched(
  messages: Channel<SpeechMessage>,
  idleTimeoutMs: number,
): AsyncGenerator<SpeechMessage> {
  const silent = new ProviderError("edge", "timeout", `silent for ${idleTimeoutMs} ms`);
  const iterator = messages[Symbol.asyncIterator]();
  try {
    while (true) {
      const watchdog = setTimeout(() => messages.close(silent), idleTimeoutMs);
      const step = await iterator.next().finally(() => clearTimeout(watchdog));
      if (step.done) return;
      yield step.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/**
 * What the Edge browser presents to its read-aloud service. The names and the way the token is made
 * are those that the open-source project `edge-tts` documents. The vendor changes them now and then:
 * then this file has to follow.
 */
const clientToken = "6A5AA1D4EAFF4E9FB37E23D68491D6F4";
const browserVersion = "143.0.3650.75";
const browserMajor = browserVersion.split(".")[0];
const extensionOrigin = "chrome-extension://jdiccldimpdaibmpdkjnbmckianbfold";

/** Seconds from the beginning of 1601, where Windows counts from, to that of 1970. */
const windowsEpochSeconds = 11_644_473_600n;
const ticksPerSecond = 10_000_000n;
/** A token holds for the five minutes that it was made in. */
const tokenTicks = 300n * ticksPerSecond;

/** The `Sec-MS-GEC` token at a time in milliseconds since 1970. */
export function tokenAt(timeMs: number): string {
  const seconds = BigInt(Math.floor(timeMs / 1000)) + windowsEpochSeconds;
  const ticks = seconds * ticksPerSecond;
  const rounded = ticks - (ticks % tokenTicks);
  return createHash("sha256").update(`${rounded}${clientToken}`).digest("hex").toUpperCase();
}

/** The address of one connection, made at that time. */
export function edgeAddress(endpoint: string, timeMs: number): string {
  const url = new URL(endpoint.replace(/^http/, "ws"));
  url.searchParams.set("TrustedClientToken", clientToken);
  url.searchParams.set("Sec-MS-GEC", tokenAt(timeMs));
  url.searchParams.set("Sec-MS-GEC-Version", `1-${browserVersion}`);
  url.searchParams.set("ConnectionId", createId());
  return url.href;
}

/** The headers that the browser sends. */
export function edgeHeaders(): Readonly<Record<string, string>> {
  return {
    Pragma: "no-cache",
    "Cache-Control": "no-cache",
    Origin: extensionOrigin,
    "User-Agent":
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
      `Chrome/${browserMajor}.0.0.0 Safari/537.36 Edg/${browserMajor}.0.0.0`,
    "Accept-Language": "en-US,en;q=0.9",
    Cookie: `muid=${createId().toUpperCase()};`,
  };
}

/** An id as the service likes them: 32 hexadecimal digits. */
export function createId(): string {
  return randomBytes(16).toString("hex");
}
