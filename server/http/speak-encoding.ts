import type { TurnChunk } from "../conversation/reply.ts";
import type { TurnListener } from "../conversation/turn.ts";
import { bytesOf, outputRateHz } from "../core/audio/pcm.ts";
import { wavHeader } from "../core/audio/wav.ts";
import type { Encoders } from "../encoding/encoders.ts";
import { createOggOpusFile } from "../encoding/ogg-file.ts";
import type { AudioChunk } from "../failover/framer.ts";
import type { Source } from "../failover/tiers.ts";
import type { WordTiming } from "../models/synthesizer.ts";
import { toProblem } from "./problem.ts";

/** Encodes one turn for one HTTP response. It counts what it writes, so each turn has its own. */
export type Encoding = {
  /** Hears about the turn. */
  readonly listener: TurnListener;
  /** A chunk's bytes. Undefined if the format omits it. */
  chunk(chunk: TurnChunk): Encoded | Promise<Encoded>;
  /** The bytes after the last chunk. */
  end(): Encoded | Promise<Encoded>;
  /** The bytes for an error after the first byte. Undefined if the format has none. */
  fail(error: unknown): Uint8Array | undefined;
  /** Frees what encodes, at the end or before. */
  close?(): void;
};

type Encoded = Uint8Array | undefined;

/** What an encoding is made for. */
type EncodingOptions = {
  /** Whether events have ids, which EventSource sends when it reconnects. */
  readonly hasIds: boolean;
  readonly encoders: Encoders;
  /** Fires when the client has left. */
  readonly signal: AbortSignal;
};

/** One of the formats of `/v1/speak`. */
export type Format = {
  readonly contentType: string;
  /** Whether the response is a file with a length, in `Content-Length` and in its own header. */
  readonly isFile: boolean;
  /** The header before `dataBytes` of chunks, or before an unknown number. May be empty. */
  begin(dataBytes?: number): Uint8Array;
  /** The padding after `dataBytes` of chunks whose number `begin` did not know. */
  pad(dataBytes: number): Uint8Array;
  encode(options: EncodingOptions): Encoding;
};

const nothing = new Uint8Array(0);

const pcm: Format = {
  contentType: "application/octet-stream",
  isFile: true,
  begin: () => nothing,
  pad: () => nothing,
  encode: () => ({
    listener: {},
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

const opus: Format = {
  ...pcm,
  contentType: "audio/ogg; codecs=opus",
  encode({ encoders, signal }) {
    const file = createOggOpusFile(encoders, signal);
    return {
      listener: {},
      chunk: (chunk) => (chunk.type === "audio" ? file.push(chunk.pcm) : undefined),
      end: file.end,
      fail: () => undefined,
      close: file.close,
    };
  },
};

const sse: Format = {
  ...pcm,
  contentType: "text/event-stream; charset=utf-8",
  isFile: false,
  encode({ hasIds }) {
    let id = 0;
    let untold: object = {};
    let isPartial = false;
    const event = (name: string, data: object): Uint8Array => {
      id += 1;
      const idLine = hasIds ? `id: ${id}\n` : "";
      const json = JSON.stringify({ ...data, ...untold });
      untold = {};
      return Buffer.from(`event: ${name}\ndata: ${json}\n${idLine}\n`);
    };
    return {
      listener: {
        onBegin: ({ turnId: turn_id, sessionId: session_id }) => {
          untold = { turn_id, session_id };
        },
        onPartial: () => {
          isPartial = true;
        },
      },
      chunk: (chunk) =>
        chunk.type === "text"
          ? event("text", { text: chunk.text, ...sourceFields("TEXT", chunk.source) })
          : event("audio", { ...audioFields(chunk), ...sourceFields("SPEECH", chunk.source) }),
      end: () => event("end", { message: "done", ...(isPartial && { partial: true }) }),
      fail: (error) => event("failure", toProblem(error).body.error),
    };
  },
};

/**
 * The formats of `/v1/speak`: `wav`, `pcm` (raw 48 kHz mono s16le), `opus` (in Ogg, 32 kbit/s), and `sse`, server-sent events:
 * `text` {text}, `audio` {audio (base64 s16le), sample_rate, samples, and words {word, start_sample,
 * end_sample} where some became known, from the start of the turn}, then `end` {message} or `failure`
 * {code, message}. The first event tells the turn's `turn_id` and `session_id` too, the first of each
 * tier its `source` {kind, tier, from, reason}, and an `end` that the reply is `partial`. No event is called `error`, `open` or `message`: EventSource has events of its own
 * by these names.
 */
export const formats = { wav, pcm, opus, sse } as const;

/** Who wrote the text, or speaks the sound, from here on. */
function sourceFields(kind: "TEXT" | "SPEECH", source: Source | undefined): object {
  return source ? { source: { kind, ...source } } : {};
}

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
