import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach, describe, expect, it, vi } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { Handle } from "../../server/transport/in-flight-requests.ts";
import type { PortLimits } from "../../server/transport/limits.ts";
import type { PortOptions } from "../../server/transport/port.ts";
import {
  closeAll,
  closeOf,
  openHttp2,
  openPort,
  openRaw,
  type RawClient,
} from "../support/sockets.ts";

afterEach(closeAll);

const path = "/streaming.StreamingService/StreamAudio";
const emptyMessage = Buffer.alloc(5);

/** A gateway whose handler talks for ever, in chunks of 100 ms of audio. */
function openTalker() {
  const state = { running: 0, yielded: 0, reasons: [] as unknown[] };
  const adapter = connectNodeAdapter({
    routes(router) {
      router.service(StreamingService, {
        async *streamAudio(_request, context) {
          state.running += 1;
          context.signal.addEventListener("abort", () => state.reasons.push(context.signal.reason));
          const audioChunk = { audioData: new Uint8Array(9600), dtype: "int16", shape: [4800] };
          try {
            for (;;) {
              state.yielded += 1;
              yield { content: { case: "audioChunk", value: audioChunk } };
            }
          } finally {
            state.running -= 1;
          }
        },
      });
    },
  }) as Handle;
  return { state, handle: adapter };
}

const sendsAtOnce =
  (bytes: number): Handle =>
  (_request, response) =>
    void (response as ServerResponse).end(Buffer.alloc(bytes));

/** Waits until the handler waits too: for its client. */
async function parked(state: { yielded: number }): Promise<void> {
  let before = -1;
  while (state.yielded === 0 || state.yielded !== before) {
    before = state.yielded;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const request = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: 5\r\n\r\n`;

async function askHttp1(address: { host: string; port: number }, times = 1): Promise<RawClient> {
  const client = await openRaw(address);
  const asked = Buffer.concat([Buffer.from(request), emptyMessage]);
  client.socket.write(Buffer.concat(Array.from({ length: times }, () => asked)));
  await once(client.socket, "data");
  client.socket.pause();
  return client;
}

async function askHttp2(address: { host: string; port: number }) {
  const session = await openHttp2(address);
  const head = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
  const stream = session.request(head).end(emptyMessage);
  stream.on("error", () => undefined);
  await once(stream, "data");
  stream.pause();
  return { session, stream };
}

const quick: Partial<PortLimits> = { stallTimeoutMs: 150 };
const timeouts = { timeout: 10_000, interval: 20 };

describe("a client that stops reading", () => {
  it.each(["1.1", "2"])("is cut off after the stall time-out (HTTP/%s)", async (version) => {
    const { state, handle } = openTalker();
    const stalled: (string | undefined)[] = [];
    const onStall: PortOptions["onStall"] = ({ url }) => void stalled.push(url);
    const { address } = await openPort({ handle, limits: quick, onStall });
    await (version === "1.1" ? askHttp1(address) : askHttp2(address));
    await vi.waitUntil(() => stalled.length > 0 && state.running === 0, timeouts);
    expect(stalled).toEqual([path]);
    expect(state.reasons).toHaveLength(1);
  });

  it("loses one HTTP/2 stream, and keeps its connection and the other streams", async () => {
    const { state, handle } = openTalker();
    const onStall = vi.fn();
    const { address } = await openPort({ handle, limits: quick, onStall });
    const { session, stream } = await askHttp2(address);
    const head = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
    const reading = session.request(head).end(emptyMessage).resume();
    reading.on("error", () => undefined);
    await vi.waitUntil(() => onStall.mock.calls.length > 0, timeouts);
    await closeOf(stream.resume());
    expect(stream.rstCode).toBe(8);
    expect(reading.closed).toBe(false);
    reading.close();
    await vi.waitUntil(() => state.running === 0, timeouts);
  });

  it("is cut off as well when the response waits with its end alone", async () => {
    const onStall = vi.fn();
    const { address } = await openPort({ handle: sendsAtOnce(100_000), limits: quick, onStall });
    const session = await openHttp2(address);
    const stream = session.request({});
    stream.on("error", () => undefined);
    await vi.waitUntil(() => onStall.mock.calls.length > 0, timeouts);
    await closeOf(stream.resume());
    expect(stream.rstCode).toBe(8);
  });

  it("is not blamed for a response that waits for another one on its connection", async () => {
    const onStall = vi.fn();
    const { address } = await openPort({
      handle: async ({ url }, response) => {
        if (url === "/slow") await new Promise((resolve) => setTimeout(resolve, 2500));
        (response as ServerResponse).end(Buffer.alloc(70_000, url));
      },
      limits: quick,
      onStall,
    });
    const client = await openRaw(address);
    const ask = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
    client.socket.write(ask("/slow") + ask("/fast"));
    await client.until("/fast/fast");
    expect(onStall).not.toHaveBeenCalled();
  });

  it("has the time of a slow line for a message that is large", async () => {
    const onStall = vi.fn();
    const { address, port } = await openPort({
      handle: sendsAtOnce(16 * 1024 * 1024),
      limits: quick,
      onStall,
    });
    const client = await openRaw(address);
    client.socket.pause();
    client.socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(onStall).not.toHaveBeenCalled();
    expect(port.connections()).toBe(1);
  });
});

describe("a client that reads slowly", () => {
  it.each(["1.1", "2"])("is not cut off while it reads (HTTP/%s)", async (version) => {
    const { state, handle } = openTalker();
    const onStall = vi.fn();
    const { address } = await openPort({ handle, limits: quick, onStall });
    const { stream } =
      version === "1.1" ? { stream: (await askHttp1(address)).socket } : await askHttp2(address);
    await parked(state);
    const before = state.yielded;
    for (let time = 0; time < 30; time++) {
      stream.resume();
      await new Promise(setImmediate);
      stream.pause();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(onStall).not.toHaveBeenCalled();
    expect(state.yielded).toBeGreaterThan(before);
    expect(state.running).toBe(1);
  });
});

describe("a handler that waits for its client", () => {
  const silence = () => vi.spyOn(console, "error").mockImplementation(() => undefined);
  const patient: Partial<PortLimits> = { stallTimeoutMs: 600_000 };

  it.each(["closes", "resets"])("reaches its finally when an HTTP/1.1 client %s", async (how) => {
    const complaints = silence();
    const { state, handle } = openTalker();
    const { address } = await openPort({ handle, limits: patient });
    const { socket } = await askHttp1(address);
    await parked(state);
    if (how === "closes") socket.destroy();
    else socket.resetAndDestroy();
    await vi.waitUntil(() => state.running === 0, timeouts);
    expect(state.reasons).toHaveLength(1);
    expect(complaints).not.toHaveBeenCalled();
    complaints.mockRestore();
  });

  it("is not begun when it stands behind another one on its connection", async () => {
    const complaints = silence();
    const { state, handle } = openTalker();
    const { address } = await openPort({ handle, limits: patient });
    const { socket } = await askHttp1(address, 2);
    await parked(state);
    expect(state.running).toBe(1);
    socket.destroy();
    await vi.waitUntil(() => state.running === 0, timeouts);
    expect(complaints).not.toHaveBeenCalled();
    complaints.mockRestore();
  });

  it.each(["leaves", "cancels"])("reaches its finally when an HTTP/2 client %s", async (how) => {
    const complaints = silence();
    const { state, handle } = openTalker();
    const { address } = await openPort({ handle, limits: patient });
    const { session, stream } = await askHttp2(address);
    await parked(state);
    if (how === "leaves") session.destroy();
    else stream.close(8);
    await vi.waitUntil(() => state.running === 0, timeouts);
    expect(state.reasons).toHaveLength(1);
    expect(complaints).not.toHaveBeenCalled();
    complaints.mockRestore();
  });
});
