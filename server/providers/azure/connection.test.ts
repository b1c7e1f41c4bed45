import { getEventListeners } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { audioFrame, readFrame, textFrame } from "../../../emulators/microsoft-speech-messages.ts";
import { outcomeOf } from "../../../test/contracts/suite-faults.ts";
import { TurnCancelled } from "../../core/async.ts";
import { type AzureConnection, openAzureConnection } from "./connection.ts";

/** One document as the service sees it. What it sends leaves in one write, by `flush`. */
type Turn = {
  readonly socket: WebSocket;
  readonly tcp: Socket;
  text(path: string, body: unknown): void;
  /** Sends a word boundary and its audio, which is filled with the byte `at`. */
  word(at: number, length?: number): void;
  flush(): void;
};

const ssml = "<speak/>";
const wordCount = 20;
const whole = Array.from({ length: wordCount }, (_, at) => at);

let play: (turn: Turn) => void;
let stop: () => Promise<void>;
let connections: () => number;
let connection: AzureConnection;

function createTurn(socket: WebSocket, tcp: Socket, requestId: string): Turn {
  const text = (path: string, body: unknown) => socket.send(textFrame(path, requestId, body));
  const head = { requestId, streamId: "stream", type: "audio/x-wav" };
  tcp.cork();
  text("turn.start", { context: { serviceTag: requestId } });
  text("response", { context: {}, audio: { type: "inline", streamId: "stream" } });
  return {
    socket,
    tcp,
    text,
    word(at, length = 2) {
      const Data = {
        Offset: at,
        Duration: 1,
        text: { Text: `${at}`, BoundaryType: "WordBoundary" },
      };
      text("audio.metadata", { Metadata: [{ Type: "WordBoundary", Data }] });
      socket.send(audioFrame(head, new Uint8Array(length).fill(at)));
    },
    flush: () => tcp.uncork(),
  };
}

beforeEach(async () => {
  const sockets = new WebSocketServer({ noServer: true });
  const server = createServer();
  server.on("upgrade", (request, stream: Socket, start) =>
    sockets.handleUpgrade(request, stream, start, (socket) => {
      socket.on("error", () => undefined);
      socket.on("message", (data) => {
        const { path, headers } = readFrame(data.toString());
        if (path === "ssml") play(createTurn(socket, stream, headers["x-requestid"] ?? ""));
      });
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  connections = () => sockets.clients.size;
  stop = () => new Promise((resolve) => server.close(() => resolve()));
  const { port } = server.address() as AddressInfo;
  const host = `ws://127.0.0.1:${port}`;
  connection = openAzureConnection({
    apiKey: "key",
    host,
    connectTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
  });
});
afterEach(async () => {
  connection.close();
  await stop();
});

/** Speaks to the end; returns the audio and words that came, the error, and listeners left. */
async function hear(read = (signal: AbortSignal) => connection.speak(ssml, signal)) {
  const { signal } = new AbortController();
  const { parts, error } = await outcomeOf(read(signal));
  return {
    audio: parts.flatMap((part) => (part.type === "audio" ? [part.bytes[0]] : [])),
    words: parts.flatMap((part) => (part.type === "word" ? [Number(part.word.word)] : [])),
    error,
    listeners: getEventListeners(signal, "abort").length,
  };
}

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

/** How a service breaks off after its audio, and the kind of the error. */
const ends: readonly (readonly [string, string, (turn: Turn) => void])[] = [
  ["closes with 4401", "authentication", ({ socket }) => socket.close(4401, "No key.")],
  ["closes with 1011", "server", ({ socket }) => socket.close(1011, "Internal error.")],
  ["closes with 1001", "connectivity", ({ socket }) => socket.close(1001)],
  ["sends truncated JSON", "protocol", ({ text }) => text("audio.metadata", '{"Metadata":[{')],
  ["sends a message of no request", "protocol", ({ socket }) => socket.send("Path:x\r\n\r\n{}")],
  ["sends an invalid frame", "protocol", ({ tcp }) => tcp.write(Uint8Array.of(0xff, 0xff))],
  [
    "ends in the middle of a frame",
    "connectivity",
    ({ tcp }) => tcp.end(Uint8Array.of(0x81, 0x20)),
  ],
];

describe("openAzureConnection", () => {
  it.each(ends)("yields all audio that came before the service %s: %s", async (_, kind, end) => {
    play = (turn) => {
      for (const at of whole) turn.word(at);
      end(turn);
      turn.flush();
    };
    const before = timers();
    const { audio, words, error, listeners } = await hear();
    expect(audio).toEqual(whole);
    expect(words).toEqual(whole);
    expect(error).toMatchObject({ name: "ProviderError", provider: "azure", kind });
    expect(listeners).toBe(0);
    expect(timers()).toBeLessThanOrEqual(before);
    await expect.poll(connections).toBe(0);
  });

  it("yields all audio that came before its connection was reset", async () => {
    play = ({ socket, tcp, word, flush }) => {
      for (const at of whole) word(at);
      // The pong shows that all before it has arrived.
      socket.ping();
      socket.once("pong", () => tcp.resetAndDestroy());
      flush();
    };
    const { audio, error, listeners } = await hear(async function* (signal) {
      for await (const event of connection.speak(ssml, signal)) {
        yield event;
        // Pulls on only after the reset was seen.
        await connection.ended;
      }
    });
    expect(audio).toEqual(whole);
    expect(error).toMatchObject({ kind: "connectivity" });
    expect(listeners).toBe(0);
  });

  it("yields all of more audio than is buffered, to a reader slower than the close", async () => {
    play = (turn) => {
      for (const at of whole) turn.word(at, 128 * 1024);
      turn.socket.close(1011, "Internal error.");
      turn.flush();
    };
    const { audio, error } = await hear(async function* (signal) {
      for await (const event of connection.speak(ssml, signal)) {
        yield event;
        await setImmediate();
      }
    });
    expect(audio).toEqual(whole);
    expect(error).toMatchObject({ kind: "server" });
  });

  it("completes if the end of the turn came before the close", async () => {
    play = (turn) => {
      turn.word(0);
      turn.text("turn.end", {});
      turn.socket.close(1011, "Internal error.");
      turn.flush();
    };
    expect(await hear()).toMatchObject({ audio: [0], error: undefined });
  });

  it("ends with the close's error though the SDK has stopped reading at a message", async () => {
    play = (turn) => {
      turn.word(0);
      turn.text("response", {});
      turn.word(1);
      turn.socket.close(4401, "No key.");
      turn.flush();
    };
    expect(await hear()).toMatchObject({ audio: [0], error: { kind: "authentication" } });
  });

  it("delivers nothing that is buffered when the signal fires", async () => {
    play = (turn) => {
      for (const at of whole) turn.word(at);
      turn.socket.close(1011, "Internal error.");
      turn.flush();
    };
    const controller = new AbortController();
    const events = connection.speak(ssml, controller.signal)[Symbol.asyncIterator]();
    expect((await events.next()).done).toBe(false);
    const reason = new TurnCancelled("interrupted");
    controller.abort(reason);
    await expect(events.next()).rejects.toBe(reason);
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    await expect.poll(connections).toBe(0);
  });

  it("ends at once when the signal fires though the SDK has stopped reading", async () => {
    play = (turn) => {
      turn.word(0);
      turn.text("response", {});
      turn.socket.close(1011, "Internal error.");
      turn.flush();
    };
    const before = timers();
    const controller = new AbortController();
    const events = connection.speak(ssml, controller.signal)[Symbol.asyncIterator]();
    for (let at = 0; at < 2; at++) expect((await events.next()).done).toBe(false);
    const pending = events.next();
    await connection.ended;
    const reason = new TurnCancelled("interrupted");
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    expect(timers()).toBeLessThanOrEqual(before);
  });

  it("treats a connection that the service is closing as lost", async () => {
    let socket: Socket | undefined;
    play = (turn) => {
      socket = turn.tcp;
      turn.text("turn.end", {});
      turn.flush();
    };
    expect((await hear()).error).toBeUndefined();
    // A close frame with 1001, and a late end.
    socket?.write(Uint8Array.of(0x88, 2, 0x03, 0xe9));
    await expect.poll(connection.isOpen).toBe(false);
    const heard = hear();
    socket?.destroy();
    expect((await heard).error).toMatchObject({ kind: "connectivity" });
  });
});
