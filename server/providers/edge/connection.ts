import { createHash, randomBytes } from "node:crypto";
import { abortable, onAbort } from "../../core/async.ts";
import type { Refusal } from "../microsoft-speech/errors.ts";
import {
  createReceiveBuffer,
  formatMessage,
  openSpeechSocket,
  type SpeechMessage,
  type SpeechSocket,
} from "../microsoft-speech/socket.ts";

/** Options of a connection. */
export type EdgeConnectionOptions = {
  readonly endpoint: string;
  readonly connectTimeoutMs: number;
  /** The service's time in milliseconds since 1970, as far as it is known. */
  readonly timeMs: number;
  readonly onRefusal: (refusal: Refusal) => void;
};

/** A connection to the service, for one document. */
export type EdgeConnection = Pick<SpeechSocket, "opened" | "ended" | "isOpen"> & {
  readonly socket: SpeechSocket;
  /** Passes every message to the listener from now on. Earlier ones are dropped. */
  listen(listener: (message: SpeechMessage) => void): void;
  close(): void;
};

/** Begins to connect. */
export function openEdgeConnection(options: EdgeConnectionOptions): EdgeConnection {
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

/** Messages that the reader has not taken yet; above it the service has to wait. */
const maxBufferedMessages = 16;

/**
 * Speaks one document on a connection that nobody else uses, and yields the service's messages before
 * `turn.end`. Throws the `ProviderError` of a failure, or the signal's reason. Closes the connection
 * in any case.
 */
export async function* speakDocument(
  ssml: string,
  {
    connection,
    idleTimeoutMs,
  }: { readonly connection: EdgeConnection; readonly idleTimeoutMs: number },
  signal: AbortSignal,
): AsyncGenerator<SpeechMessage> {
  const { socket } = connection;
  const messages = createReceiveBuffer<SpeechMessage>(
    { provider: "edge", socket, limit: maxBufferedMessages, sizeOf: () => 1 },
    signal,
  );
  connection.listen((message) => {
    if (message.headers["path"] === "turn.end") messages.close();
    else messages.push(message);
  });
  // A reader that stopped pulling never reaches `finally`.
  const removeListener = onAbort(signal, socket.terminate);
  socket.ended.then((error) => messages.close(error));
  try {
    await abortable(socket.opened, signal);
    sendDocument(socket, ssml);
    yield* messages.read(idleTimeoutMs);
  } finally {
    removeListener();
    messages.close();
    socket.terminate();
  }
}

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

function sendDocument(socket: SpeechSocket, ssml: string): void {
  const timestamp = new Date().toISOString();
  const json = { "X-Timestamp": timestamp, "Content-Type": "application/json; charset=utf-8" };
  socket.send(formatMessage({ ...json, Path: "speech.config" }, JSON.stringify(config)));
  const head = { "X-RequestId": createId(), "Content-Type": "application/ssml+xml" };
  socket.send(formatMessage({ ...head, "X-Timestamp": `${timestamp}Z`, Path: "ssml" }, ssml));
}

/**
 * What the Edge browser presents to its read-aloud service. The names and the token algorithm are
 * those that the open-source project `edge-tts` documents. When the vendor changes them, change them
 * here.
 */
const clientToken = "6A5AA1D4EAFF4E9FB37E23D68491D6F4";
const browserVersion = "143.0.3650.75";
const browserMajor = browserVersion.split(".")[0];
const extensionOrigin = "chrome-extension://jdiccldimpdaibmpdkjnbmckianbfold";

/** Seconds from 1601, the Windows epoch, to 1970. */
const windowsEpochSeconds = 11_644_473_600n;
const ticksPerSecond = 10_000_000n;
/** A token is valid for the five minutes in which it was made. */
const tokenTicks = 300n * ticksPerSecond;

/** The `Sec-MS-GEC` token at a time in milliseconds since 1970. */
export function tokenAt(timeMs: number): string {
  const seconds = BigInt(Math.floor(timeMs / 1000)) + windowsEpochSeconds;
  const ticks = seconds * ticksPerSecond;
  const rounded = ticks - (ticks % tokenTicks);
  return createHash("sha256").update(`${rounded}${clientToken}`).digest("hex").toUpperCase();
}

function edgeAddress(endpoint: string, timeMs: number): string {
  const url = new URL(endpoint.replace(/^http/, "ws"));
  url.searchParams.set("TrustedClientToken", clientToken);
  url.searchParams.set("Sec-MS-GEC", tokenAt(timeMs));
  url.searchParams.set("Sec-MS-GEC-Version", `1-${browserVersion}`);
  url.searchParams.set("ConnectionId", createId());
  return url.href;
}

function edgeHeaders(): Readonly<Record<string, string>> {
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

/** 32 hexadecimal digits, as the service expects. */
function createId(): string {
  return randomBytes(16).toString("hex");
}
