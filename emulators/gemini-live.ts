import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { geminiRefusal } from "./gemini-errors.ts";
import type { GeminiLiveRequest } from "./gemini-live-messages.ts";
import { LiveServerSession, type LiveService } from "./gemini-live-session.ts";
import type { LiveBehavior } from "./gemini-live-wire.ts";
import { type Emulator, type EmulatorScript, type Fault, rest } from "./script.ts";

/** An emulated Live service. */
export type GeminiLiveEmulator = Emulator<GeminiLiveRequest> & {
  /** Answers the next turns with exactly these messages. */
  playMessages(messages: readonly object[]): void;
  /** Changes how the service behaves; by default it does nothing special. */
  behave(behavior: LiveBehavior): void;
  /** Announces the end of every connection. */
  goAway(): void;
  /** Breaks every connection. */
  dropConnections(): void;
  /** Drops every session that could be resumed. */
  forgetSessions(): void;
  /** Number of sessions that can be resumed. */
  handles(): number;
  /** Waits until every client has read all messages. */
  settle(): Promise<void>;
  /** Open connections. */
  connections(): number;
  /** Connection attempts so far. */
  attempts(): number;
};

const route =
  /^\/{1,2}ws\/google\.ai\.generativelanguage\.v1beta\.GenerativeService\.BidiGenerateContent$/;

/**
 * Starts Google's Live service on loopback: JSON over a WebSocket, any key. The model answers in audio
 * with a transcript. A model named `gemini-3.1-…` accepts realtime text only. It refuses by an HTTP
 * status or a close frame, as the service does.
 */
export async function startGeminiLiveEmulator(): Promise<GeminiLiveEmulator> {
  const sessions = new Set<LiveServerSession>();
  const responses = createResponses();
  const service: LiveService = { requests: [], handles: new Map(), ...responses };
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer((_request, response) => response.writeHead(404).end());
  let attempts = 0;
  server.on("upgrade", async (request, socket, head) => {
    const index = attempts++;
    socket.on("error", () => undefined);
    await rest(service.script().connectMs ?? 0);
    const { maxConnections = Number.POSITIVE_INFINITY } = service.behavior();
    const isFull = sockets.clients.size >= maxConnections;
    const fault = isFull ? ({ kind: "rate-limit" } as const) : service.script().fault;
    if (refused(request, socket, fault)) return;
    const apiKey = new URL(request.url ?? "/", "http://loopback").searchParams.get("key");
    sockets.handleUpgrade(request, socket, head, (client) => {
      const session = new LiveServerSession(service, { client, socket, index, apiKey });
      sessions.add(session);
      client.on("close", () => sessions.delete(session));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const dropConnections = () => {
    for (const client of sockets.clients) client.terminate();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: service.requests,
    ...responses,
    active: () => [...sessions].filter(({ busy }) => busy).length,
    goAway: () => {
      for (const session of sessions) session.goAway();
    },
    dropConnections,
    forgetSessions: () => service.handles.clear(),
    handles: () => service.handles.size,
    async settle() {
      const read = [...sockets.clients].map((client) => once(client, "pong"));
      for (const client of sockets.clients) client.ping();
      await Promise.all(read);
    },
    connections: () => sockets.clients.size,
    attempts: () => attempts,
    async stop() {
      dropConnections();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The responses, and the functions that set them. */
function createResponses() {
  let script: EmulatorScript = {};
  let messages: readonly object[] | undefined;
  let behavior: LiveBehavior = {};
  return {
    script: () => script,
    messages: () => messages,
    behavior: () => behavior,
    play: (next: EmulatorScript) => {
      script = next;
      messages = undefined;
    },
    playMessages: (next: readonly object[]) => {
      messages = next;
    },
    behave: (next: LiveBehavior) => {
      behavior = next;
    },
  };
}

/** Refuses the handshake if the fault demands it. Returns true if it did. */
function refused(request: IncomingMessage, socket: Duplex, fault: Fault | undefined): boolean {
  const { pathname } = new URL(`http://loopback${request.url}`);
  if (!route.test(pathname)) {
    socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    return true;
  }
  if (!fault || fault.afterParts) return false;
  if (fault.kind === "refuse") {
    socket.destroy();
    return true;
  }
  const refusal = geminiRefusal(fault);
  if (!refusal || (fault.kind !== "rate-limit" && fault.kind !== "html-500")) return false;
  const headers = Object.entries({ ...refusal.headers, connection: "close" });
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.end(`HTTP/1.1 ${refusal.status} Refused\r\n${lines}\r\n${refusal.body}`);
  return true;
}
