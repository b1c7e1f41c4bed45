import { once } from "node:events";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
} from "@connectrpc/connect-node";
import { afterEach, describe, expect, it } from "vitest";
import {
  StreamingService,
  StreamRequestSchema,
  UsageRequestSchema,
} from "../../gen/streaming/streaming_pb.ts";
import { bodyShares, createBodyBudget } from "../../server/rpc/body-budget.ts";
import { limitMethods } from "../../server/rpc/message-limits.ts";
import { createBodyReader } from "../../server/rpc/request-body.ts";
import type { Handle, PortRequest } from "../../server/transport/in-flight-requests.ts";
import {
  closeAll,
  frame,
  frameTypes,
  headerBlock,
  openHttp2,
  openPort,
  openRaw,
  preface,
} from "../support/sockets.ts";

afterEach(closeAll);

const maxMessageBytes = 1_000_000;
const path = "/streaming.StreamingService/StreamAudio";

const prepareBody = createBodyReader({
  methods: limitMethods([StreamingService], maxMessageBytes),
  budget: createBodyBudget(bodyShares(maxMessageBytes)),
  addressOf: () => "a",
  stringsOf: () => new Map(),
});

/** A gateway's RPC side: what it is asked, and with which signal. */
function openRpc() {
  const prompts: string[] = [];
  const adapter = connectNodeAdapter({
    readMaxBytes: maxMessageBytes,
    routes(router) {
      router.service(StreamingService, {
        async *streamAudio(request) {
          prompts.push(request.prompt);
          yield { content: { case: "endMessage", value: "done" } };
        },
        interruptSession: () => ({ success: true }),
        reportUsage: () => ({ success: true }),
      });
    },
  }) as Handle;
  const handle: Handle = (request, response) => {
    prepareBody(request);
    adapter(request, response);
  };
  return { handle, prompts };
}

function envelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A message of the given length, one unknown field. */
function filler(length: number): Buffer {
  const message = Buffer.alloc(length);
  // Field 15, length-delimited; the length in three bytes.
  message.set([
    0x7a,
    0x80 | ((length - 4) & 0x7f),
    0x80 | (((length - 4) >> 7) & 0x7f),
    (length - 4) >> 14,
  ]);
  return message;
}

const asking = (prompt: string) =>
  toBinary(StreamRequestSchema, create(StreamRequestSchema, { prompt, hardwareId: "d" }));

const chunk = (bytes: Uint8Array) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);

const http1Head = (rpc: string, type: string) =>
  `POST /streaming.StreamingService/${rpc} HTTP/1.1\r\nHost: a\r\nContent-Type: application/${type}\r\nTransfer-Encoding: chunked\r\n\r\n`;

const http2Head = Buffer.concat([
  Buffer.from(preface),
  frame({ type: frameTypes.settings }),
  frame({
    type: frameTypes.headers,
    flags: 4,
    stream: 1,
    payload: headerBlock({
      ":method": "POST",
      ":scheme": "http",
      ":path": path,
      ":authority": "a",
      "content-type": "application/grpc",
      te: "trailers",
    }),
  }),
]);

const oneByOne = (bytes: Buffer, wrap: (byte: Buffer) => Buffer) =>
  Buffer.concat(Array.from(bytes, (_, at) => wrap(bytes.subarray(at, at + 1))));

/** The longest time for which nothing else could run, in milliseconds, until `stop`. */
function watchLoop() {
  let longestMs = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }, 1);
  return () => {
    clearInterval(timer);
    return Math.max(longestMs, performance.now() - lastMs);
  };
}

// Without re-framing each of these blocks the loop for many seconds: the decoder is quadratic.
const prompt = "x".repeat(60_000);
const longestMs = 1500;

describe("a message in 60,000 pieces", () => {
  it("is read in HTTP/1.1 chunks of one byte", async () => {
    const { handle, prompts } = openRpc();
    const { address } = await openPort({ handle });
    const client = await openRaw(address);
    const body = oneByOne(envelope(asking(prompt)), chunk);
    const stop = watchLoop();
    client.socket.write(http1Head("StreamAudio", "connect+proto"));
    client.socket.write(Buffer.concat([body, Buffer.from("0\r\n\r\n")]));
    expect(await client.until("done")).toMatch(/^HTTP\/1\.1 200 /);
    expect(stop()).toBeLessThan(longestMs);
    expect(prompts).toEqual([prompt]);
  });

  it("is read in HTTP/2 frames of one byte", async () => {
    const { handle, prompts } = openRpc();
    const { address } = await openPort({ handle });
    const client = await openRaw(address);
    const body = oneByOne(envelope(asking(prompt)), (payload) =>
      frame({ type: frameTypes.data, stream: 1, payload }),
    );
    const stop = watchLoop();
    client.socket.write(http2Head);
    client.socket.write(body);
    client.socket.write(frame({ type: frameTypes.data, flags: 1, stream: 1 }));
    await client.until("done");
    expect(stop()).toBeLessThan(longestMs);
    expect(prompts).toEqual([prompt]);
  });

  it("is read in HTTP/1.1 chunks of one byte when it is no stream's", async () => {
    const { address } = await openPort({ handle: openRpc().handle });
    const client = await openRaw(address);
    const stop = watchLoop();
    client.socket.write(http1Head("ReportUsage", "proto"));
    const body = create(UsageRequestSchema, { model: prompt });
    const bytes = Buffer.from(toBinary(UsageRequestSchema, body));
    client.socket.write(oneByOne(bytes, chunk));
    client.socket.write("0\r\n\r\n");
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 /);
    expect(stop()).toBeLessThan(longestMs);
  });
});

describe("a body", () => {
  /** Reads a request as the adapter would, and tells how it went. */
  async function readAll(request: PortRequest): Promise<number[]> {
    const lengths: number[] = [];
    for await (const piece of request) lengths.push((piece as Buffer).length);
    return lengths;
  }

  function reading(read: (request: PortRequest) => Promise<unknown>) {
    const outcome = Promise.withResolvers<unknown>();
    const handle: Handle = (request, response) => {
      prepareBody(request);
      read(request).then(outcome.resolve, outcome.reject);
      outcome.promise.then(
        () => void response.end(),
        () => undefined,
      );
    };
    outcome.promise.catch(() => undefined);
    return { handle, outcome: outcome.promise };
  }

  it("reaches the adapter in one piece for each message", async () => {
    const { handle, outcome } = reading(readAll);
    const { address } = await openPort({ handle });
    const client = await openRaw(address);
    client.socket.write(http1Head("StreamAudio", "connect+proto"));
    const messages = [envelope(filler(3000)), envelope(filler(2000))];
    client.socket.write(oneByOne(Buffer.concat(messages), chunk));
    client.socket.write("0\r\n\r\n");
    expect(await outcome).toEqual([3005, 2005]);
  });

  it("ends the reading when its HTTP/1.1 client leaves in the middle", async () => {
    const { handle, outcome } = reading(readAll);
    const { address } = await openPort({ handle });
    const client = await openRaw(address);
    client.socket.write(http1Head("StreamAudio", "connect+proto"));
    client.socket.write(chunk(envelope(Buffer.alloc(1000)).subarray(0, 500)));
    client.socket.destroy();
    await expect(outcome).rejects.toThrow("aborted");
  });

  it("ends the reading when its HTTP/2 client cancels in the middle", async () => {
    const began = Promise.withResolvers<void>();
    const { handle, outcome } = reading((request) => {
      began.resolve();
      return readAll(request);
    });
    const { address } = await openPort({ handle });
    const session = await openHttp2(address);
    const head = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
    const stream = session.request(head, { endStream: false });
    stream.on("error", () => undefined);
    stream.write(envelope(Buffer.alloc(1000)).subarray(0, 500));
    await began.promise;
    stream.close(8);
    // Node ends such a body or fails it, as it finds it. Either way nothing waits any longer.
    const settled = await Promise.allSettled([outcome]);
    expect(settled).toHaveLength(1);
  });

  it.each(["1.1", "2"])("is not taken in faster than it is read (HTTP/%s)", async (version) => {
    let requested: PortRequest | undefined;
    const { handle } = reading(async (request) => {
      requested = request;
      await request[Symbol.asyncIterator]().next();
      return await new Promise(() => undefined);
    });
    const { address } = await openPort({ handle });
    let sentBytes = 0;
    const message = envelope(filler(65_536));
    const write = await openWriter(address, version);
    while (sentBytes < 64 * 1024 * 1024 && (await write(message))) sentBytes += message.length;
    expect(sentBytes).toBeLessThan(32 * 1024 * 1024);
    expect(requested?.readableLength).toBeLessThan(1024 * 1024);
  });

  /** A function that sends a message, and tells whether it could within half a second. */
  async function openWriter(address: { host: string; port: number }, version: string) {
    if (version === "1.1") {
      const { socket } = await openRaw(address);
      socket.write(http1Head("StreamAudio", "connect+proto"));
      return (bytes: Buffer) => taken(socket, socket.write(chunk(bytes)));
    }
    const session = await openHttp2(address);
    const head = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
    const stream = session.request(head, { endStream: false });
    stream.on("error", () => undefined);
    return (bytes: Buffer) => taken(stream, stream.write(bytes));
  }

  async function taken(stream: NodeJS.WritableStream, flushed: boolean): Promise<boolean> {
    if (flushed) return true;
    const signal = AbortSignal.timeout(500);
    return await once(stream, "drain", { signal }).then(
      () => true,
      () => false,
    );
  }

  const transports = (baseUrl: string) => [
    createGrpcTransport({ baseUrl }),
    createConnectTransport({ baseUrl, httpVersion: "1.1" }),
    createConnectTransport({ baseUrl, httpVersion: "2" }),
  ];

  it("above the limit is refused with RESOURCE_EXHAUSTED in every protocol", async () => {
    const { address } = await openPort({ handle: openRpc().handle });
    for (const transport of transports(`http://127.0.0.1:${address.port}`)) {
      const client = createClient(StreamingService, transport);
      const call = client.interruptSession({ hardwareId: "x".repeat(4096) });
      const error = await call.then(() => undefined, ConnectError.from);
      expect(error?.code).toBe(Code.ResourceExhausted);
      expect(error?.message).toContain("the message must be at most 4096 bytes");
    }
  });

  it("at the limit is taken in every protocol", async () => {
    const { address } = await openPort({ handle: openRpc().handle });
    for (const transport of transports(`http://127.0.0.1:${address.port}`)) {
      const client = createClient(StreamingService, transport);
      const answer = await client.interruptSession({ hardwareId: "x".repeat(4000) });
      expect(answer.success).toBe(true);
    }
  });
});
