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
  /** The same in Opus, where it goes out so. */
  readonly packet?: Uint8Array<ArrayBuffer>;
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
  const frames = createHeldFrames(samplesPerChunk, holds);
  let words: readonly WordTiming[] = [];
  let synthesizer = "";
  let source: Source | undefined;
  let samples = 0;
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
    return frames.push(pcm).map(toChunk);
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
      if (brokeOff) frames.fadeOut();
      return rest;
    },
    flush: () => frames.flush().map(toChunk),
    samples: () => samples,
  };
}

/**
 * Cuts sound into frames, and holds each back until `holds` samples have followed it. A frame that lies
 * in one piece of sound shares its memory: nothing is copied.
 */
function createHeldFrames(samplesPerFrame: number, holds: number) {
  const cutter = createFrameCutter(samplesPerFrame);
  let held: Int16Array[] = [];
  /** Samples that came behind the first frame that is held. */
  let behind = -samplesPerFrame;
  const takeAll = () => {
    const all = [...held, ...cutter.flush()];
    held = [];
    return all;
  };
  return {
    push(pcm: Int16Array): readonly Int16Array[] {
      held.push(...cutter.push(pcm));
      behind += pcm.length;
      let ripe = 0;
      for (; ripe < held.length && behind >= holds; ripe++) behind -= samplesPerFrame;
      return held.splice(0, ripe);
    },
    /** Fades the newest samples out that are held. */
    fadeOut() {
      const all = joinPcm(takeAll());
      const from = Math.max(0, all.length - holds);
      const rest = all.subarray(from);
      const faded = fade(rest, (at) => (rest.length - 1 - at) / rest.length);
      held = [...cutter.push(joinPcm([all.subarray(0, from), faded]))];
    },
    flush: takeAll,
  };
}

/** The samples times a factor, up to the first that is not below 1. */
function fade(pcm: Int16Array, factor: (at: number) => number): Int16Array<ArrayBuffer> {
  return Int16Array.from(pcm, (sample, at) => Math.round(sample * Math.min(1, factor(at))));
}
