import type { AudioChunk, TurnChunk } from "../conversation/turn.ts";
import { bytesOf } from "../core/audio/bytes.ts";
import { outputRateHz } from "../core/audio/to-48k.ts";
import { wavHeader } from "../core/audio/wav.ts";
import type { WordTiming } from "../models/synthesizer.ts";
import { toProblem } from "./problem.ts";

/** How one turn is written into one HTTP answer. It counts what it writes: one a turn. */
export type Encoding = {
  /** A chunk's bytes; undefined if the format has no place for it. */
  chunk(chunk: TurnChunk): Uint8Array | undefined;
  /** What comes after the last chunk. */
  end(): Uint8Array | undefined;
  /** A last word for an error after the first byte; undefined if the format has no place for it. */
  fail(error: unknown): Uint8Array | undefined;
};

/** One of the formats of `/v1/speak`. */
export type Format = {
  readonly contentType: string;
  /** Whether the answer is a file that can tell its length: `Content-Length`, and in its header. */
  readonly isFile: boolean;
  /** What stands before `dataBytes` of chunks, or before as many as will come. May be empty. */
  begin(dataBytes?: number): Uint8Array;
  /** What stands behind `dataBytes` of chunks after a `begin` that did not know their number. */
  pad(dataBytes: number): Uint8Array;
  /** `hasIds`: whether each event has an id, by which EventSource tells that it connects again. */
  encode(hasIds: boolean): Encoding;
};

const nothing = new Uint8Array(0);

const pcm: Format = {
  contentType: "application/octet-stream",
  isFile: true,
  begin: () => nothing,
  pad: () => nothing,
  encode: () => ({
    chunk: (chunk) => (chunk.type === "audio" ? bytesOf(chunk.pcm) : undefined),
    end: () => undefined,
    fail: () => undefined,
  }),
};

/**
 * ffmpeg reads 4,096 samples at a time (2,048 before version 7.1), and calls the last packet of a
 * stream of open length corrupt unless it is full.
 */
const PACKET_BYTES = 8192;

const wav: Format = {
  ...pcm,
  contentType: "audio/wav",
  begin: (dataBytes) =>
    wavHeader({
      sampleRateHz: outputRateHz,
      channels: 1,
      ...(dataBytes !== undefined && { dataBytes }),
    }),
  pad: (dataBytes) => new Uint8Array((PACKET_BYTES - (dataBytes % PACKET_BYTES)) % PACKET_BYTES),
};

const sse: Format = {
  ...pcm,
  contentType: "text/event-stream; charset=utf-8",
  isFile: false,
  encode(hasIds) {
    let id = 0;
    const event = (name: string, data: object): Uint8Array => {
      id += 1;
      const idLine = hasIds ? `id: ${id}\n` : "";
      return Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n${idLine}\n`);
    };
    return {
      chunk: (chunk) =>
        chunk.type === "text"
          ? event("text", { text: chunk.text })
          : event("audio", audioFields(chunk)),
      end: () => event("end", { message: "done" }),
      fail: (error) => event("failure", toProblem(error).body.error),
    };
  },
};

/**
 * The formats of `/v1/speak`: `wav`, `pcm` (raw 48 kHz mono s16le), and `sse`, server-sent events:
 * `text` {text}, `audio` {audio (base64 s16le), sample_rate, samples, and words {word, start_sample,
 * end_sample} where some became known, from the start of the turn}, then `end` {message} or `failure`
 * {code, message}. No event is called `error`, `open` or `message`: EventSource has events of its own
 * by these names.
 */
export const formats = { wav, pcm, sse } as const;

function audioFields({ pcm, words }: AudioChunk): object {
  return {
    audio: Buffer.from(bytesOf(pcm)).toString("base64"),
    sample_rate: outputRateHz,
    samples: pcm.length,
    ...(words && { words: words.map(wordFields) }),
  };
}

function wordFields({ word, startSample, endSample }: WordTiming) {
  return { word, start_sample: startSample, end_sample: endSample };
}
