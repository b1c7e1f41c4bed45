import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { geminiRefusal } from "./gemini-errors.ts";
import {
  type GeminiLiveRequest,
  LiveServerSession,
  type LiveService,
} from "./gemini-live-session.ts";
import { type Emulator, type EmulatorScript, type Fault, rest } from "./script.ts";

/** An emulated Live service, and what only this one can do. */
export type GeminiLiveEmulator = Emulator<GeminiLiveRequest> & {
  /** Answers the next turns with these messages, as they stand, and nothing after them. */
  playMessages(messages: readonly object[]): void;
  /** Lets the end of a turn come that much later than its last word, as if it were being heard. */
  lag(lagMs: number): void;
  /** Tells every client that its connection will end soon. */
  goAway(): void;
  /** Breaks every connection. */
  dropConnections(): void;
  /** Forgets every session that could be gone on with. */
  forgetSessions(): void;
  /** Sessions that can be gone on with. */
  handles(): number;
  /** Waits until every client has read what was sent to it. */
  settle(): Promise<void>;
  /** Connections that are open. */
  connections(): number;
  /** Connections that were ever asked for. */
  attempts(): number;
};

const route =
  /^\/{1,2}ws\/google\.ai\.generativelanguage\.v1beta\.GenerativeService\.BidiGenerateContent$/;

/**
 * Google's Live service on loopback: a websocket with JSON in it, any key. A model speaks, unless
 * its name has `text` in it; one whose name begins with `gemini-3.1-` takes realtime text alone.
 * Refusals come as an HTTP status, or as a close, in whichever way the service has.
 */
export async function startGeminiLiveEmulator(): Promise<GeminiLiveEmulator> {
  const sessions = new Set<LiveServerSession>();
  const answers = createAnswers();
  const service: LiveService = { requests: [], handles: new Map(), ...answers };
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer((_request, response) => response.writeHead(404).end());
  let attempts = 0;
  server.on("upgrade", async (request, socket, head) => {
    const index = attempts++;
    socket.on("error", () => undefined);
    await rest(service.script().connectMs ?? 0);
    if (refused(request, socket, service.script().fault)) return;
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
    ...answers,
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

/** What is answered, and what sets it. */
function createAnswers() {
  let script: EmulatorScript = {};
  let messages: readonly object[] | undefined;
  let lagMs = 0;
  return {
    script: () => script,
    messages: () => messages,
    lagMs: () => lagMs,
    play: (next: EmulatorScript) => {
      script = next;
      messages = undefined;
    },
    playMessages: (next: readonly object[]) => {
      messages = next;
    },
    lag: (nextMs: number) => {
      lagMs = nextMs;
    },
  };
}

/** Refuses the handshake, if that is where the fault shows. */
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
