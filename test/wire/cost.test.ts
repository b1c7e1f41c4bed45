import { once } from "node:events";
import { promiseHooks } from "node:v8";
import { afterEach, describe, expect, it } from "vitest";
import type { LanguageModel } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import type { Handle } from "../../server/transport/in-flight-requests.ts";
import { startGateway } from "../support/gateway.ts";
import { closeAll, openHttp2, openPort } from "../support/sockets.ts";
import { openScriptedHandler, soundChunks } from "./scripted-conversation.ts";
import { encodeStreamRequest } from "./stream-request.ts";

afterEach(closeAll);

const CHUNK_BYTES = 4608 * 2;
const path = "/streaming.StreamingService/StreamAudio";

/** Runs a turn, and reads it without promises, which would be counted. */
async function listen(address: { host: string; port: number }): Promise<number> {
  const session = await openHttp2(address);
  const head = { ":method": "POST", ":path": path, "content-type": "application/grpc" };
  let bytes = 0;
  const stream = session.request(head);
  stream.on("data", (piece: Buffer) => {
    bytes += piece.length;
  });
  stream.end(encodeStreamRequest("Tell me."));
  await once(stream, "close");
  return bytes;
}

/** Counts a response's writes, and those that are large. */
function countWrites(handle: Handle) {
  const state = { large: 0 };
  const counted: Handle = (request, response) => {
    const write = response.write.bind(response) as (...args: unknown[]) => boolean;
    const counting = (bytes: Uint8Array, ...rest: unknown[]) => {
      if (bytes.length > CHUNK_BYTES) state.large += 1;
      return write(bytes, ...rest);
    };
    response.write = counting as typeof response.write;
    handle(request, response);
  };
  return { state, counted };
}

/** Counts the bytes that JavaScript copies in pieces of a chunk or more, until `stop`. */
function countCopies() {
  const state = { bytes: 0 };
  const { set, slice } = Uint8Array.prototype;
  const { concat, from } = Buffer;
  const add = (bytes: number) => {
    if (bytes >= CHUNK_BYTES) state.bytes += bytes;
  };
  Uint8Array.prototype.set = function (source: ArrayLike<number>, offset?: number) {
    add(source.length);
    set.call(this, source, offset);
  };
  Uint8Array.prototype.slice = function (...range) {
    const part = slice.apply(this, range);
    add(part.length);
    return part as Uint8Array<ArrayBuffer>;
  };
  Buffer.concat = (list, length) => {
    const joined = concat.call(Buffer, list, length);
    add(joined.length);
    return joined;
  };
  const stop = () => {
    Object.assign(Uint8Array.prototype, { set, slice });
    Object.assign(Buffer, { concat, from });
  };
  return { state, stop };
}

/** A model and a voice that cost nothing: one sentence, spoken in parts of a chunk each. */
function createProviders(chunks: number) {
  const pcm = new Int16Array(CHUNK_BYTES / 2).fill(-7);
  const model: LanguageModel = {
    name: "free",
    async *generate() {
      yield { type: "text", text: "One sentence." };
    },
  };
  const voice: Synthesizer = {
    name: "free",
    async *synthesize() {
      for (let index = 0; index < chunks; index++) yield { pcm, sampleRateHz: 48_000 };
    },
  };
  return { languageModels: [model], synthesizers: [voice] };
}

/** Promises that the whole gateway and its client make for a turn of so many chunks. */
async function countPromises(chunks: number): Promise<number> {
  await using gateway = await startGateway(createProviders(chunks));
  const address = { host: "127.0.0.1", port: gateway.grpcPort };
  await listen(address);
  let promises = 0;
  const stop = promiseHooks.onInit(() => {
    promises += 1;
  }) as () => void;
  try {
    expect(await listen(address)).toBeGreaterThan(chunks * CHUNK_BYTES);
  } finally {
    stop();
  }
  return promises;
}

describe("a chunk of sound", () => {
  it("shares a write with six others, and its samples are copied once", async () => {
    const handle = openScriptedHandler(() => [soundChunks(1), soundChunks(70), soundChunks(70)]);
    const { state, counted } = countWrites(handle);
    const { address } = await openPort({ handle: counted });
    await listen(address);
    state.large = 0;
    const copies = countCopies();
    try {
      expect(await listen(address)).toBeGreaterThan(141 * CHUNK_BYTES);
    } finally {
      copies.stop();
    }
    // connect-node writes and copies the first. The first write of a batch finds one chunk held.
    expect(state.large).toBeLessThanOrEqual(1 + 22);
    expect(copies.state.bytes - 140 * CHUNK_BYTES).toBeLessThanOrEqual(4 * CHUNK_BYTES);
  });

  it("costs the whole gateway few promises", async () => {
    const few = await countPromises(100);
    const many = await countPromises(400);
    // The voice's own generator makes 3 of them, and each async generator in its way would add as many.
    expect((many - few) / 300).toBeLessThanOrEqual(14);
  });
});
