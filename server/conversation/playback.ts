import { outputRateHz } from "../core/audio/pcm.ts";
import { saidUnits } from "../failover/words.ts";
import type { WordTiming } from "../models/synthesizer.ts";
import type { Continuation } from "./continuation.ts";
import type { TurnChunk } from "./reply.ts";

/** How far a reply was heard. */
type Heard = {
  /** The beginning of the reply, up to the last word that was heard in full. */
  readonly text: string;
  /** Samples at 48 kHz. */
  readonly samples: number;
  /** True if nothing that was sent is left to be heard. */
  readonly isAll: boolean;
};

/**
 * Follows what a client was sent of a turn, and what of it was heard. Sound is sent much faster than it
 * plays: unless the client reports its position, it is taken to play from its arrival on, without a
 * pause while there is sound.
 */
export type Playback = {
  /** A chunk leaves for the client. Returns it with its words in the turn's time, not its segment's. */
  send(chunk: TurnChunk): TurnChunk;
  /** The sentence that was begun is over. */
  endSegment(): void;
  /** The client has played so many samples. Its last report stands. */
  report(samples: number): void;
  /**
   * All was sent, and is played to its end unless the client says otherwise. What it reported before is
   * no longer its position.
   */
  endSending(): void;
  /** The client stopped to play: what was heard by now is all that will be. */
  stop(): void;
  /** Whether a report tells the position. */
  isReported(): boolean;
  /** Milliseconds of sound that was sent and not yet heard. */
  aheadMs(): number;
  heard(): Heard;
  /** The reply, and the samples at 48 kHz, that were sent. */
  sent(): { readonly text: string; readonly samples: number };
};

const SAMPLES_A_MS = outputRateHz / 1000;

/** A sentence and its sound, or all that a model speaks by itself. */
type Span = {
  readonly textStart: number;
  textEnd: number;
  readonly startSample: number;
  endSample: number;
  /** Where each word ends, in the reply and in the sound. */
  readonly words: { readonly textEnd: number; readonly endSample: number }[];
  isWhole: boolean;
};

/**
 * Makes the playback of a turn of which nothing was sent, or what `start` says. `now` reads a monotonic
 * clock.
 */
export function createPlayback(now = () => performance.now(), start?: Continuation): Playback {
  const spans = start ? spansOf(start) : [];
  let said = start?.said ?? "";
  let sent = start?.samples ?? 0;
  /** When all that was sent will have been heard. */
  let endsMs = 0;
  let reported: number | undefined;
  let stoppedMs: number | undefined;
  const open = (): Span => {
    const last = spans.at(-1);
    if (last && !last.isWhole) return last;
    const place = { textStart: said.length, textEnd: said.length };
    const span = { ...place, startSample: sent, endSample: sent, words: [], isWhole: false };
    spans.push(span);
    return span;
  };
  const aheadMs = () => Math.max(0, endsMs - (stoppedMs ?? now()));
  const played = () =>
    Math.min(sent, reported ?? Math.max(0, Math.round(sent - aheadMs() * SAMPLES_A_MS)));
  return {
    send(chunk) {
      const span = open();
      if (chunk.type === "text") {
        said += chunk.text;
        span.textEnd = said.length;
        return chunk;
      }
      sent += chunk.pcm.length;
      span.endSample = sent;
      endsMs = Math.max(now(), endsMs) + chunk.pcm.length / SAMPLES_A_MS;
      if (!chunk.words) return chunk;
      const words = chunk.words.map((word) => inTurn(word, span.startSample));
      for (const { word, textStart, endSample } of words) {
        span.words.push({ textEnd: span.textStart + textStart + word.length, endSample });
      }
      return { ...chunk, words };
    },
    endSegment() {
      const last = spans.at(-1);
      if (last) last.isWhole = true;
    },
    report(samples) {
      reported = samples;
      endsMs = now() + Math.max(0, sent - samples) / SAMPLES_A_MS;
    },
    endSending() {
      reported = undefined;
    },
    stop() {
      stoppedMs ??= now();
    },
    isReported: () => reported !== undefined,
    sent: () => ({ text: said, samples: sent }),
    aheadMs: () => (stoppedMs === undefined ? aheadMs() : 0),
    heard() {
      const samples = played();
      const end = withMarks(said, heardUntil(spans, said, samples));
      return { text: said.slice(0, end), samples, isAll: end >= said.trimEnd().length };
    },
  };
}

/** All that was said before as one, and the sentence that goes on. */
function spansOf({ said, samples, spanStart }: Continuation): Span[] {
  const { text, sample } = spanStart;
  const before = { textStart: 0, textEnd: text, startSample: 0, endSample: sample };
  const open = { textStart: text, textEnd: said.length, startSample: sample, endSample: samples };
  return [
    { ...before, words: [], isWhole: true },
    { ...open, words: [], isWhole: text === said.length },
  ];
}

function inTurn(word: WordTiming, segmentStart: number): WordTiming {
  const { startSample, endSample } = word;
  return { ...word, startSample: startSample + segmentStart, endSample: endSample + segmentStart };
}

/** Where in the reply the last word ends that was heard. */
function heardUntil(spans: readonly Span[], said: string, samples: number): number {
  let end = 0;
  for (const span of spans) {
    if (!span.isWhole || span.endSample > samples) {
      return span.startSample > samples ? end : Math.max(end, heardWithin(span, said, samples));
    }
    end = span.textEnd;
  }
  return end;
}

/** The same within the sentence that was being heard. Words whose timing is unknown are estimated. */
function heardWithin(span: Span, said: string, samples: number): number {
  const { textStart, textEnd, startSample, words, isWhole } = span;
  const last = words.findLast(({ endSample }) => endSample <= samples);
  const isTimed = words.length > 0 && (isWhole || last !== words.at(-1));
  const from = last ?? { textEnd: textStart, endSample: startSample };
  if (isTimed) return from.textEnd;
  const seconds = (samples - from.endSample) / outputRateHz;
  const unit = saidUnits(said.slice(from.textEnd, textEnd), seconds).at(-1);
  return unit ? from.textEnd + unit.textStart + unit.word.length : from.textEnd;
}

/** The marks behind a word belong to it. */
function withMarks(said: string, end: number): number {
  if (end === 0) return 0;
  return end + (/^[^\s\p{L}\p{N}]+/u.exec(said.slice(end, end + 8))?.[0].length ?? 0);
}
