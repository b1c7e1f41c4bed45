import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { type Frame, readFrame } from "./microsoft-speech-messages.ts";
import { playTurn, type WordAudio } from "./microsoft-speech-turn.ts";
import { type Emulator, type EmulatorScript, type FaultKind, rest } from "./script.ts";

/** A request to speak a document. */
type SpeechRequest = {
  readonly ssml: string;
  /** The path and query of the connection. */
  readonly address: string;
  /** Header names in lower case. */
  readonly headers: IncomingMessage["headers"];
  /** The JSON of the connection's `speech.config`, and of its `synthesis.context` if there is one. */
  readonly config: unknown;
  readonly context: unknown;
};

/** An emulated speech service. */
export type SpeechEmulator = Emulator<SpeechRequest> & {
  /** Open connections. */
  connections(): number;
  /** Closes idle connections, as the service does. */
  dropIdle(): void;
};

/** Options of a service. */
export type SpeechServerOptions = {
  readonly path: string;
  readonly audio: WordAudio;
  /** The status of a handshake to refuse, whatever the script. */
  readonly refuses?: (request: IncomingMessage) => number | undefined;
  /** The service's clock, for its `Date` header. */
  readonly nowMs?: () => number;
};

const pages: Partial<Record<FaultKind, Page>> = {
  unauthorized: { status: 401, text: "Access denied due to invalid subscription key." },
  forbidden: { status: 403, text: "The key may not do this." },
  "rate-limit": { status: 429, text: "Too many requests." },
  "html-500": { status: 500, text: "<html><body><h1>Bad gateway</h1></body></html>" },
};

/** Starts a service on loopback that speaks Microsoft's WebSocket protocol. */
export async function startSpeechServer(options: SpeechServerOptions): Promise<SpeechEmulator> {
  const { path, refuses, nowMs = Date.now } = options;
  const sockets = new WebSocketServer({ noServer: true });
  const service: Service = { audio: options.audio, script: {}, requests: [], busy: new Set() };
  let faultyHandshakes = 0;

  const server = createServer((_, response) => response.writeHead(404).end());
  server.on("upgrade", async (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on("error", () => undefined);
    await rest(service.script.connectMs ?? 0);
    const isElsewhere = new URL(request.url ?? "", "ws://x").pathname !== path;
    const refused = isElsewhere ? 404 : refuses?.(request);
    const isFaulty = faultyHandshakes-- > 0;
    const scripted = isFaulty ? pageOf(service.script) : undefined;
    const page = refused === undefined ? scripted : { status: refused, text: "Refused." };
    if (page === "none") stream.destroy();
    else if (page) stream.end(writePage(page, nowMs()));
    else sockets.handleUpgrade(request, stream, head, (socket) => serve(socket, request, service));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const dropIdle = () => {
    for (const socket of sockets.clients) if (!service.busy.has(socket)) socket.terminate();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    requests: service.requests,
    play(next) {
      service.script = next;
      faultyHandshakes = next.fault?.handshakes ?? Number.POSITIVE_INFINITY;
      // An open connection would not meet the fault of a handshake.
      if (next.fault) dropIdle();
    },
    active: () => service.busy.size,
    connections: () => sockets.clients.size,
    dropIdle,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets.clients) socket.terminate();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The state that all connections share. */
type Service = {
  readonly audio: WordAudio;
  script: EmulatorScript;
  readonly requests: SpeechRequest[];
  /** Sockets with a document in progress. */
  readonly busy: Set<WebSocket>;
};

/** Speaks each document that arrives on the socket. */
function serve(socket: WebSocket, request: IncomingMessage, service: Service): void {
  const left = new AbortController();
  const frames = new Map<string, Frame>();
  const json = (name: string) => JSON.parse(frames.get(name)?.body ?? "null");
  socket.on("error", () => undefined);
  socket.once("close", () => {
    service.busy.delete(socket);
    left.abort();
  });
  socket.on("message", async (data) => {
    const frame = readFrame(data.toString());
    frames.set(frame.path, frame);
    if (frame.path !== "ssml") return;
    const requestId = frame.headers["x-requestid"] ?? "";
    service.requests.push({
      ssml: frame.body,
      address: request.url ?? "",
      headers: request.headers,
      config: json("speech.config"),
      context: json("synthesis.context"),
    });
    service.busy.add(socket);
    const { fault, ...proper } = service.script;
    // A fault of handshakes does not apply to accepted connections.
    const script = fault?.handshakes === undefined ? service.script : proper;
    const turn = { socket, requestId, ssml: frame.body, script, audio: service.audio };
    await playTurn({ ...turn, left: left.signal });
    service.busy.delete(socket);
  });
}

type Page = { readonly status: number; readonly text: string; readonly retryAfter?: number };

/** The script's response to a handshake: a page, "none" to drop it, or undefined to accept it. */
function pageOf({ fault }: EmulatorScript): Page | "none" | undefined {
  if (!fault || (fault.afterParts ?? 0) > 0) return undefined;
  const { kind, retryAfterSeconds = 1 } = fault;
  if (kind === "refuse") return "none";
  const page = pages[kind];
  return page && { ...page, ...(page.status === 429 && { retryAfter: retryAfterSeconds }) };
}

function writePage({ status, text, retryAfter }: Page, nowMs: number): string {
  const headers = [`Date: ${new Date(nowMs).toUTCString()}`, "Connection: close"];
  if (retryAfter !== undefined) headers.push(`Retry-After: ${retryAfter}`);
  const lines = [`HTTP/1.1 ${status} Refused`, ...headers, `Content-Length: ${text.length}`];
  return `${lines.join("\r\n")}\r\n\r\n${text}`;
}
