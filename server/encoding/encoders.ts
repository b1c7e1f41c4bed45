import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { onAbort, throwIfAborted } from "../core/async.ts";
import { joinPcm } from "../core/audio/pcm.ts";
import { LimitExceeded } from "../core/errors.ts";
import { PACKET_SAMPLES } from "./codec.ts";
import type { CodecName, EncodeAnswer, EncodeRequest } from "./worker.ts";

/** Samples that a decoder gives before the first one of the voice: libopus looks so far ahead. */
export const PRE_SKIP_SAMPLES = 312;

/** One packet: 20 ms. */
export type OpusPacket = {
  readonly data: Uint8Array<ArrayBuffer>;
  /**
   * Samples of the voice that it adds: what is decoded up to here, without the first `PRE_SKIP_SAMPLES`
   * and without what fills the last packet. Never 0; their sum is the number of samples pushed.
   */
  readonly samples: number;
};

/** Encodes one voice, 48 kHz mono, at 32 kbit/s, in another thread. One call at a time. */
export type OpusEncoder = {
  /** Takes samples and returns the packets that they fill, perhaps none. */
  push(pcm: Int16Array): Promise<readonly OpusPacket[]>;
  /** Returns the rest; nothing if there was no sound. The last call. */
  end(): Promise<readonly OpusPacket[]>;
  /** Frees the encoder, at its end or before; nothing more is encoded. May be called twice. */
  close(): void;
};

/** Encodes one voice, 24 kHz mono, as a file, in another thread. One call at a time. */
type FileEncoder = {
  /** Takes samples and returns the bytes that are ready, perhaps none. */
  push(pcm: Int16Array): Promise<Uint8Array>;
  /** Returns the rest. The last call. */
  end(): Promise<Uint8Array>;
  /** Frees the encoder, at its end or before; nothing more is encoded. May be called twice. */
  close(): void;
};

/** Opens encoders, which share a few threads. */
export type Encoders = {
  /**
   * Opens an encoder of Opus. When `signal` fires it is closed, and its calls throw the reason. Throws
   * `LimitExceeded` if all threads are full.
   */
  openOpus(signal: AbortSignal): OpusEncoder;
  /** Opens an encoder of a file in the same way. */
  openFile(codec: "flac" | "mp3", signal: AbortSignal): FileEncoder;
  /** Ends the threads. Encoders that are open fail. */
  stop(): Promise<void>;
};

/** Encoders of a thread: more of `opusscript` outgrow the memory that its views are made for. */
const MAX_ENCODERS = 64;
const MAX_THREADS = Math.min(4, availableParallelism());
/** Samples that a thread takes of one encoder before it serves another: 100 ms. */
const PIECE_SAMPLES = 5 * PACKET_SAMPLES;

/** Makes the encoders. A thread starts when it is needed, and does not keep the process alive. */
export function createEncoders(): Encoders {
  const threads: Thread[] = [];
  let lastId = 0;
  const pick = (): Thread => {
    const [best] = threads.filter(({ isRunning }) => isRunning()).sort((a, b) => a.open - b.open);
    if (best && (best.open === 0 || threads.length >= MAX_THREADS)) return best;
    const thread = startThread(() => threads.splice(threads.indexOf(thread), 1));
    threads.push(thread);
    return thread;
  };
  const open = (codec: CodecName, signal: AbortSignal): Encoder => {
    throwIfAborted(signal);
    const thread = pick();
    if (thread.open >= MAX_ENCODERS) {
      throw new LimitExceeded("too many replies are encoded at once; retry in 2 s", "encoders");
    }
    lastId += 1;
    return openEncoder(thread, { id: lastId, codec }, signal);
  };
  return {
    openOpus: (signal) => createOpusEncoder(open("opus", signal)),
    openFile(codec, signal) {
      const encoder = open(codec, signal);
      return {
        push: async (pcm) => Buffer.concat(await encoder.encode(pcm)),
        end: async () => Buffer.concat(await encoder.end()),
        close: encoder.close,
      };
    },
    async stop() {
      await Promise.all(threads.splice(0).map((thread) => thread.stop()));
    },
  };
}

type Packets = readonly Uint8Array<ArrayBuffer>[];

/** An encoder of a thread. */
type Place = { readonly id: number; readonly codec: CodecName };

type Thread = {
  /** Encoders that are open. */
  open: number;
  isRunning(): boolean;
  /** Encodes sound; ends the encoder without. */
  encode(place: Place, pcm?: Int16Array): Promise<Packets>;
  /** Frees an encoder; its call fails with the reason. */
  free(id: number, reason: unknown): void;
  stop(): Promise<unknown>;
};

function startThread(onEnd: () => void): Thread {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { env: {} });
  worker.unref();
  const calls = new Map<number, PromiseWithResolvers<Packets>>();
  let isRunning = true;
  const fail = (error: Error) => {
    if (isRunning) onEnd();
    isRunning = false;
    for (const call of calls.values()) call.reject(error);
    calls.clear();
  };
  worker.on("message", ({ id, packets, error }: EncodeAnswer) => {
    const call = calls.get(id);
    calls.delete(id);
    if (error === undefined) call?.resolve(packets);
    else call?.reject(new Error(`encoder: ${error}`));
  });
  worker.once("error", fail);
  worker.once("exit", () => fail(new Error("the thread of the encoders ended")));
  const post = (request: EncodeRequest, transfer: ArrayBuffer[] = []) =>
    worker.postMessage(request, transfer);
  return {
    open: 0,
    isRunning: () => isRunning,
    encode(place, pcm) {
      if (!isRunning) return Promise.reject(new Error("the thread of the encoders ended"));
      const call = Promise.withResolvers<Packets>();
      calls.set(place.id, call);
      const copy = pcm && Int16Array.from(pcm);
      if (copy) post({ ...place, pcm: copy }, [copy.buffer]);
      else post(place);
      return call.promise;
    },
    free(id, reason) {
      calls.get(id)?.reject(reason);
      calls.delete(id);
      post({ id });
    },
    stop: () => worker.terminate(),
  };
}

/** One voice in a thread. */
type Encoder = {
  encode(pcm: Int16Array): Promise<Packets>;
  end(): Promise<Packets>;
  close(): void;
};

function openEncoder(thread: Thread, place: Place, signal: AbortSignal): Encoder {
  let isClosed = false;
  thread.open += 1;
  const close = (reason: unknown = new Error("the encoder is closed")) => {
    forget();
    if (isClosed) return;
    isClosed = true;
    thread.open -= 1;
    thread.free(place.id, reason);
  };
  const forget = onAbort(signal, close);
  const throwIfClosed = () => {
    throwIfAborted(signal);
    if (isClosed) throw new Error("the encoder is closed");
  };
  return {
    async encode(pcm) {
      const packets: Uint8Array<ArrayBuffer>[] = [];
      for (let at = 0; at < pcm.length; at += PIECE_SAMPLES) {
        throwIfClosed();
        packets.push(...(await thread.encode(place, pcm.subarray(at, at + PIECE_SAMPLES))));
      }
      return packets;
    },
    async end() {
      throwIfClosed();
      return await thread.encode(place);
    },
    close: () => close(),
  };
}

function createOpusEncoder(encoder: Encoder): OpusEncoder {
  let rest = new Int16Array(0);
  let pushed = 0;
  let told = 0;
  let packetCount = 0;
  const toPacket = (data: Uint8Array<ArrayBuffer>): OpusPacket => {
    packetCount += 1;
    const until = Math.min(pushed, packetCount * PACKET_SAMPLES - PRE_SKIP_SAMPLES);
    const samples = until - told;
    told = until;
    return { data, samples };
  };
  const encode = async (pcm: Int16Array) => (await encoder.encode(pcm)).map(toPacket);
  return {
    push(pcm) {
      pushed += pcm.length;
      const all = joinPcm([rest, pcm]);
      const whole = all.length - (all.length % PACKET_SAMPLES);
      rest = all.slice(whole);
      return encode(all.subarray(0, whole));
    },
    end() {
      if (pushed === 0) return Promise.resolve([]);
      const packets = Math.ceil((rest.length + PRE_SKIP_SAMPLES) / PACKET_SAMPLES);
      const last = new Int16Array(packets * PACKET_SAMPLES);
      last.set(rest);
      return encode(last);
    },
    close: encoder.close,
  };
}
