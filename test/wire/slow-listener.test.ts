import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Handle, PortResponse } from "../../server/transport/in-flight-requests.ts";
import { closeAll, openHttp2, openPort, openRaw } from "../support/sockets.ts";
import { openScriptedHandler, soundChunk, soundChunks } from "./scripted-conversation.ts";
import { encodeStreamRequest } from "./stream-request.ts";

afterEach(closeAll);

const HELD_BYTES = 64 * 1024;
/** HTTP/1.1 writes each piece's length in front of it, and a header before the first. */
const FRAMING_BYTES = 512;

const path = "/streaming.StreamingService/StreamAudio";
const body = encodeStreamRequest("Tell me.");

/** Notes the most bytes that a response holds after any of its writes. */
function watchHeld(handle: Handle) {
  const state = { most: 0, writes: 0, response: undefined as PortResponse | undefined };
  const watched: Handle = (request, response) => {
    state.response = response;
    const write = response.write.bind(response) as (...args: unknown[]) => boolean;
    const counting = (...args: unknown[]) => {
      const taken = write(...args);
      state.writes += 1;
      state.most = Math.max(state.most, response.writableLength);
      return taken;
    };
    response.write = counting as typeof response.write;
    handle(request, response);
  };
  return { state, watched };
}

const listen: Readonly<
  Record<string, (address: { host: string; port: number }) => Promise<unknown>>
> = {
  async "HTTP/2"(address) {
    const session = await openHttp2(address);
    const head = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
    const stream = session.request(head).end(body);
    stream.on("error", () => undefined);
    return stream.pause();
  },
  async "HTTP/1.1"(address) {
    const client = await openRaw(address);
    const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+proto\r\nContent-Length: ${body.length}\r\n\r\n`;
    client.socket.pause();
    client.socket.write(head);
    client.socket.write(body);
    return client;
  },
};

/** Waits until nothing more is written. */
async function untilParked(state: { writes: number }): Promise<void> {
  let before = -1;
  while (state.writes < 2 || state.writes !== before) {
    before = state.writes;
    await sleep(100);
  }
}

/** Turns that never end, in batches of so many chunks. */
const batches: readonly [string, () => ReturnType<typeof soundChunks>][] = [
  ["one chunk a batch", () => soundChunks(1)],
  ["50 chunks a batch", () => soundChunks(50)],
  ["chunks of 30 KB", () => [soundChunk(15_000), soundChunk(15_000), soundChunk(15_000)]],
];
const cases = batches.flatMap(([name, batch]) =>
  Object.keys(listen).map((version) => ({ name, batch, version })),
);

describe("a listener who stops reading", () => {
  it.each(cases)("makes the gateway hold 64 KiB at most ($name, $version)", async (each) => {
    const { state, watched } = watchHeld(
      openScriptedHandler(function* () {
        for (;;) yield each.batch();
      }),
    );
    const { address } = await openPort({ handle: watched });
    await listen[each.version]?.(address);
    await untilParked(state);
    expect(state.response?.writableLength).toBeGreaterThan(0);
    expect(state.most).toBeLessThanOrEqual(HELD_BYTES + FRAMING_BYTES);
  });

  it.each(Object.keys(listen))(
    "is cut off, though less is held than the stream takes (%s)",
    async (version) => {
      const onStall = vi.fn();
      const { state, watched } = watchHeld(
        openScriptedHandler(function* () {
          for (;;) yield [soundChunk(15_000)];
        }),
      );
      const { address } = await openPort({
        handle: watched,
        limits: { stallTimeoutMs: 150 },
        onStall,
      });
      await listen[version]?.(address);
      await untilParked(state);
      await vi.waitUntil(() => onStall.mock.calls.length > 0, { timeout: 10_000 });
      expect(state.most).toBeLessThan(HELD_BYTES);
    },
  );
});
