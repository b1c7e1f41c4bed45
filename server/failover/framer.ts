import {
  createConverter,
  createFrameCutter,
  joinPcm,
  outputRateHz,
  type RatedPcm,
} from "../core/audio/pcm.ts";
import type { WordTiming } from "../models/synthesizer.ts";
import type { Source } from "./tiers.ts";

/** A slice of a voice: 48 kHz mono, never empty. */
export type AudioChunk = {
  readonly type: "audio";
  readonly pcm: Int16Array;
  /** The tier that spoke. */
  readonly synthesizer: string;
  /** On the first chunk of a tier: what it follows. */
  readonly source?: Source;
  /**
   * Words whose timing was not known before, each once; they are heard in this chunk or near it.
   * Samples count from the start of the text, or of the turn: the producer says which.
   */
  readonly words?: readonly WordTiming[];
};

/** Converts sound to 48 kHz and cuts it into chunks. Each carries the words added since the last. */
export type Framer = {
  /**
   * What follows comes from this tier. If another voice was heard before, the first 5 ms fade in.
   * `level` sets its loudness.
   */
  begin(source: Source, level?: (pcm: Int16Array) => Int16Array): void;
  /** Takes sound and returns the chunks that it fills. */
  push(part: RatedPcm): readonly AudioChunk[];
  /** Adds words, with samples of 48 kHz. The next chunk carries them. */
  addWords(words: readonly WordTiming[]): void;
  /**
   * Ends one tier's voice: takes what the resampler still holds. If it broke off, what is held fades
   * out: 5 ms of a framer that holds so much.
   */
  endVoice(brokeOff?: boolean): readonly AudioChunk[];
  /** The last chunk, if any sound is left. */
  flush(): readonly AudioChunk[];
  /** Samples of 48 kHz so far, those included that fill no chunk yet. */
  samples(): number;
};

/** Samples of the fades at a hand-over: 5 ms. */
export const FADE_SAMPLES = (5 * outputRateHz) / 1000;

/**
 * Makes a framer. Only the last chunk has fewer than `samplesPerChunk` samples. The newest `holds`
 * samples wait for `flush`: words that are known only then have sound to travel with, and a voice that
 * breaks off can fade.
 */
export function createFramer(samplesPerChunk: number, holds: number): Framer {
  const converter = createConverter();
  const cutter = createFrameCutter(samplesPerChunk);
  let words: readonly WordTiming[] = [];
  let synthesizer = "";
  let source: Source | undefined;
  let samples = 0;
  const tail = createTail(holds);
  let level = (pcm: Int16Array) => pcm;
  let toFadeIn = 0;
  const toChunk = (pcm: Int16Array): AudioChunk => {
    const known = words;
    const from = source;
    words = [];
    source = undefined;
    return {
      type: "audio",
      pcm,
      synthesizer,
      ...(from && { source: from }),
      ...(known.length > 0 && { words: known }),
    };
  };
  const fadeIn = (pcm: Int16Array): Int16Array => {
    if (toFadeIn === 0) return pcm;
    const faded = fade(pcm, (at) => (FADE_SAMPLES - toFadeIn + at) / FADE_SAMPLES);
    toFadeIn = Math.max(0, toFadeIn - pcm.length);
    return faded;
  };
  const cut = (converted: Int16Array) => {
    if (converted.length === 0) return [];
    const pcm = fadeIn(level(converted));
    samples += pcm.length;
    return tail.push(pcm).flatMap(cutter.push).map(toChunk);
  };
  return {
    begin(next, withLevel) {
      if (withLevel || next.tier !== synthesizer) {
        level = withLevel ?? ((pcm) => pcm);
        toFadeIn = samples === 0 ? 0 : FADE_SAMPLES;
      }
      if (next.tier !== synthesizer) source = next;
      synthesizer = next.tier;
    },
    push: (part) => cut(converter.push(part)),
    addWords(more) {
      if (more.length > 0) words = [...words, ...more];
    },
    endVoice(brokeOff = false) {
      const rest = cut(converter.flush());
      if (brokeOff) tail.fadeOut();
      return rest;
    },
    flush: () => [...cutter.push(tail.take()), ...cutter.flush()].map(toChunk),
    samples: () => samples,
  };
}

/** Holds the newest samples back. */
function createTail(holds: number) {
  let newest = new Int16Array(0);
  return {
    /** Takes samples and returns those that are not the newest any more. */
    push(pcm: Int16Array): readonly Int16Array[] {
      const ready = pcm.length - holds;
      if (ready > 0) {
        const before = newest;
        newest = pcm.slice(ready);
        return [before, pcm.subarray(0, ready)];
      }
      const all = joinPcm([newest, pcm]);
      const ripe = Math.max(0, all.length - holds);
      newest = all.slice(ripe);
      return [all.subarray(0, ripe)];
    },
    fadeOut() {
      const { length } = newest;
      newest = fade(newest, (at) => (length - 1 - at) / length);
    },
    take(): Int16Array {
      const rest = newest;
      newest = new Int16Array(0);
      return rest;
    },
  };
}

/** The samples times a factor, up to the first that is not below 1. */
function fade(pcm: Int16Array, factor: (at: number) => number): Int16Array<ArrayBuffer> {
  return Int16Array.from(pcm, (sample, at) => Math.round(sample * Math.min(1, factor(at))));
}
