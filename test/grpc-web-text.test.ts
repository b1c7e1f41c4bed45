import { once } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  StreamRequestSchema,
  type StreamResponse,
  StreamResponseSchema,
} from "../gen/streaming/streaming_pb.ts";
import { createBase64Decoder } from "../server/rpc/grpc-web-text.ts";
import { bothHttp, type WireRequest } from "./support/both-http.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { FLOOD, WHOLE } from "./support/replies.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";
import { closeAll, closeOf, openHttp2, openRaw } from "./support/sockets.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => {
  await closeAll();
  await gateway.stop();
});

const path = "/streaming.StreamingService/StreamAudio";
const typed = (type: string) => ({ "content-type": type, "x-grpc-web": "1" });
const text = typed("application/grpc-web-text");
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

/** The head of a frame and its message, apart. */
function ask(prompt: string): [Buffer, Uint8Array] {
  const message = create(StreamRequestSchema, { prompt, hardwareId: "d" });
  const bytes = toBinary(StreamRequestSchema, message);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return [head, bytes];
}

const askText = (prompt: string) => base64(Buffer.concat(ask(prompt)));

/** What came of a response in base64: its whole messages, and the trailers as they stand in the last frame. */
function read(body: Buffer): { messages: StreamResponse["content"][]; trailers: string } {
  const bytes = Buffer.from(createBase64Decoder().push(body));
  const messages: StreamResponse["content"][] = [];
  let trailers = "";
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length < at + 5) break;
    const data = bytes.subarray(at + 5, at + 5 + bytes.readUInt32BE(at + 1));
    if (data.length < bytes.readUInt32BE(at + 1)) break;
    if (bytes[at] === 0x80) trailers = data.toString();
    else messages.push(fromBinary(StreamResponseSchema, data).content);
    at += 5 + data.length;
  }
  return { messages, trailers };
}

function textOf(messages: readonly StreamResponse["content"][]): string {
  return messages.map(({ case: kind, value }) => (kind === "textChunk" ? value : "")).join("");
}

describe.each(bothHttp)("gRPC-Web text over $version", ({ version, ask: send }) => {
  const turn = (body: string, headers: WireRequest["headers"] = text) =>
    send(gateway.grpcPort, { path, headers, body });

  it.each(["application/grpc-web-text", "application/grpc-web-text+proto"])(
    "answers %s in kind, the trailers in a frame",
    async (type) => {
      const answer = await turn(askText(WHOLE.prompt), typed(type));
      expect([answer.status, answer.headers["content-type"]]).toEqual([200, type]);
      expect(answer.body.toString("latin1")).toMatch(/^[A-Za-z0-9+/=]+$/);
      const { messages, trailers } = read(answer.body);
      expect(textOf(messages)).toBe(WHOLE.reply);
      expect(messages.at(-1)).toEqual({ case: "endMessage", value: "done" });
      expect(trailers).toBe("grpc-status: 0\r\n");
    },
  );

  it("takes a body of which each part is padded by itself", async () => {
    const [head, message] = ask(WHOLE.prompt);
    const parts = [head, message.subarray(0, 4), message.subarray(4)].map(base64);
    expect(parts.join("")).toMatch(/=[^=]/);
    expect(textOf(read((await turn(parts.join(""))).body).messages)).toBe(WHOLE.reply);
  });

  it.each([
    ["a character of another alphabet", (sent: string) => `${sent.slice(0, 8)}_${sent.slice(9)}`],
    ["a line break", (sent: string) => `${sent.slice(0, 8)}\n${sent.slice(8)}`],
    ["binary", (sent: string) => Buffer.from(sent, "base64").toString("latin1")],
    ["padding without a group", (sent: string) => `=${sent}`],
    ["a lone character at the end", (sent: string) => `${base64(Buffer.from(sent, "base64"))}A`],
    ["half a message", (sent: string) => sent.slice(0, 12)],
  ])("refuses %s with INVALID_ARGUMENT in its trailers", async (_, spoil) => {
    const answer = await turn(spoil(askText("Hello there")));
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, text["content-type"]]);
    const { messages, trailers } = read(answer.body);
    expect(messages).toEqual([]);
    expect(trailers).toMatch(/grpc-status: 3\r\n/);
  });

  it("passes a preflight with the headers that browsers' clients set", async () => {
    const wanted = "content-type,grpc-timeout,x-grpc-web,x-user-agent";
    const { status, headers } = await send(gateway.httpPort, {
      method: "OPTIONS",
      path,
      headers: {
        origin: "http://localhost:5173",
        "access-control-request-method": "POST",
        "access-control-request-headers": wanted,
      },
    });
    expect([status, headers["access-control-allow-origin"]]).toEqual([
      204,
      "http://localhost:5173",
    ]);
    const allowed = String(headers["access-control-allow-headers"]).toLowerCase().split(", ");
    expect(allowed).toEqual(expect.arrayContaining(wanted.split(",")));
  });

  it("makes no more than a client reads, and stops when the client leaves", async () => {
    const client = await (version === "HTTP/2" ? openReader2() : openReader1());
    let before = 0;
    await vi.waitFor(
      () => {
        const spoken = gateway.spoken.length;
        const isStill = spoken > 0 && spoken === before;
        before = spoken;
        expect(isStill).toBe(true);
      },
      { timeout: 10_000, interval: 200 },
    );
    expect(before).toBeLessThan(FLOOD.sentences / 2);
    expect(gateway.status().activeSessions).toBe(1);
    client.leave();
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ disconnected: 1 });
  });
});

/** Asks for a flood over HTTP/1.1, and reads only its beginning. */
async function openReader1() {
  const { socket } = await openRaw({ host: "127.0.0.1", port: gateway.grpcPort });
  const body = askText(FLOOD.prompt);
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/grpc-web-text\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await once(socket, "data");
  socket.pause();
  return { leave: () => socket.destroy() };
}

/** The same over HTTP/2. */
async function openReader2() {
  const stream = await request2(FLOOD.prompt);
  await once(stream, "data");
  stream.pause();
  return { leave: () => stream.close(8) };
}

async function request2(prompt: string): Promise<ClientHttp2Stream> {
  const session = await openHttp2({ host: "127.0.0.1", port: gateway.grpcPort });
  const stream = session.request({ ":method": "POST", ":path": path, ...text });
  stream.on("error", () => undefined);
  stream.end(askText(prompt));
  return stream;
}

describe("gRPC-Web text", () => {
  it("sends each message whole as it is made, over HTTP/2 too", async () => {
    await gateway.stop();
    const heard = Promise.withResolvers<void>();
    gateway = await startGateway({
      languageModels: [
        createScriptedLanguageModel(["One moment. ", "And", heard.promise, " done."]),
      ],
    });
    const stream = await request2("Go.");
    const pieces: Buffer[] = [];
    stream.on("data", (piece: Buffer) => {
      pieces.push(piece);
      const whole = Buffer.concat(pieces);
      // Whole groups at any time, and messages that a client can read.
      if (whole.length % 4 === 0 && textOf(read(whole).messages) === "One moment. ") {
        heard.resolve();
      }
    });
    await closeOf(stream);
    expect(textOf(read(Buffer.concat(pieces)).messages)).toBe("One moment. And done.");
  });

  it("reads a prompt that comes in 80,000 pieces, and answers others meanwhile", async () => {
    const body = askText("x".repeat(60_000));
    const client = await openRaw({ host: "127.0.0.1", port: gateway.grpcPort });
    client.socket.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/grpc-web-text\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`,
    );
    client.socket.write(
      `${[...body].map((character) => `1\r\n${character}\r\n`).join("")}0\r\n\r\n`,
    );
    const health = await fetch(`${gateway.httpUrl}/health`, { signal: AbortSignal.timeout(2000) });
    expect(health.status).toBe(200);
    expect(await client.closed()).toContain("HTTP/1.1 200 OK");
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ done: 1 });
  });
});
