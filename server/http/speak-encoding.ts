import type { AudioChunk, TurnChunk } from "../conversation/turn.ts";
import { bytesOf } from "../core/audio/bytes.ts";
import { outputRateHz } from "../core/audio/to-48k.ts";
import { wavHeader } from "../core/audio/wav.ts";
import type { WordTiming } from "../models/synthesizer.ts";
import { toProblem } from "./problem.ts";

/** How a turn is written into one HTTP answer. */
export type Encoding = {
  readonly contentType: string;
  /** What comes before the first chunk; may be empty. */
  readonly begin: Uint8Array;
  /** A chunk's bytes; undefined if the format has no place for it. */
  chunk(chunk: TurnChunk): Uint8Array | undefined;
  /** What comes after the last chunk. */
  end(): Uint8Array | undefined;
  /** A last word for an error after the first byte; undefined if the format has no place for it. */
  fail(error: unknown): Uint8Array | undefined;
};

const pcm: Encoding = {
  contentType: "application/octet-stream",
  begin: new Uint8Array(0),
  chunk: (chunk) => (chunk.type === "audio" ? bytesOf(chunk.pcm) : undefined),
  end: () => undefined,
  fail: () => undefined,
};

const wav: Encoding = {
  ...pcm,
  contentType: "audio/wav",
  begin: wavHeader({ sampleRateHz: outputRateHz, channels: 1 }),
};

const sse: Encoding = {
  contentType: "text/event-stream; charset=utf-8",
  begin: new Uint8Array(0),
  chunk: (chunk) =>
    chunk.type === "text" ? event("text", { text: chunk.text }) : audioEvent(chunk),
  end: () => event("end", { message: "done" }),
  fail: (error) => event("error", toProblem(error).body.error),
};

/**
 * The formats of `/v1/speak`: `wav` with a header that leaves the length open, `pcm` (raw 48 kHz
 * mono s16le), and `sse`, server-sent events: `text` {text}, `audio` {audio (base64 s16le),
 * sample_rate, samples, and words {word, start_sample, end_sample} where some became known, from the
 * start of the turn}, then `end` {message} or `error` {code, message}.
 */
export const encodings = { wav, pcm, sse } as const;

function audioEvent({ pcm, words }: AudioChunk): Uint8Array {
  return event("audio", {
    audio: Buffer.from(bytesOf(pcm)).toString("base64"),
    sample_rate: outputRateHz,
    samples: pcm.length,
    ...(words && { words: words.map(wordFields) }),
  });
}

function wordFields({ word, startSample, endSample }: WordTiming) {
  return { word, start_sample: startSample, end_sample: endSample };
}

function event(name: string, data: object): Uint8Array {
  return Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
