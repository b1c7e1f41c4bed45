import {
  createConverter,
  createFrameCutter,
  outputRateHz,
  type RatedPcm,
} from "../core/audio/pcm.ts";
import { isSpeakable } from "../core/text/sentences.ts";
import type { SpeechPart, Synthesizer, Voice, WordTiming } from "../models/synthesizer.ts";
import type { Tier } from "./tier.ts";
import { runTiers, type Source, type TierCall, type TierListener, type TurnTime } from "./tiers.ts";
import { estimateWords, holdWords } from "./words.ts";

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
  /** What follows comes from this tier. */
  begin(source: Source): void;
  /** Takes sound and returns the chunks that it fills. */
  push(part: RatedPcm): readonly AudioChunk[];
  /** Adds words, with samples of 48 kHz. The next chunk carries them. */
  addWords(words: readonly WordTiming[]): void;
  /** Ends one tier's voice: takes what the resampler still holds. */
  endVoice(): readonly AudioChunk[];
  /** The last chunk, if any sound is left. */
  flush(): readonly AudioChunk[];
  /** Samples of 48 kHz so far, those included that fill no chunk yet. */
  samples(): number;
};

/**
 * Makes a framer. Only the last chunk has fewer than `samplesPerChunk` samples. With `holdsLast` the
 * newest sample waits for `flush`, so that words that are known only then have sound to travel with.
 */
export function createFramer(samplesPerChunk: number, holdsLast = false): Framer {
  const converter = createConverter();
  const cutter = createFrameCutter(samplesPerChunk);
  let words: readonly WordTiming[] = [];
  let synthesizer = "";
  let source: Source | undefined;
  let samples = 0;
  let newest = new Int16Array(0);
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
  const cut = (pcm: Int16Array) => {
    samples += pcm.length;
    if (!holdsLast || pcm.length === 0) return cutter.push(pcm).map(toChunk);
    const frames = [...cutter.push(newest), ...cutter.push(pcm.subarray(0, -1))];
    newest = pcm.slice(-1);
    return frames.map(toChunk);
  };
  return {
    begin(next) {
      if (next.tier !== synthesizer) source = next;
      synthesizer = next.tier;
    },
    push: (part) => cut(converter.push(part)),
    addWords(more) {
      if (more.length > 0) words = [...words, ...more];
    },
    endVoice: () => cut(converter.flush()),
    flush: () => [...cutter.push(newest), ...cutter.flush()].map(toChunk),
    samples: () => samples,
  };
}

/** The speech tiers, their listener and the length of a chunk. */
export type SpeechRun = TierListener & {
  /** Best first. */
  readonly tiers: readonly Tier<Synthesizer>[];
  readonly samplesPerChunk: number;
  readonly time?: TurnTime;
};

/**
 * Speaks one text by the tiers, and yields the chunks of each part, never none. Words count from the
 * text's start. If a voice fails midway the next continues from the first word that was not heard, so
 * that each word is heard once. Sound from before an error comes before the error.
 */
export function speakText(
  { samplesPerChunk, ...chain }: SpeechRun,
  { text, voice }: { readonly text: string; readonly voice: Voice },
  signal: AbortSignal,
): AsyncGenerator<readonly AudioChunk[]> {
  const framer = createFramer(samplesPerChunk);
  const progress = { heardUpTo: 0 };
  const run = {
    ...chain,
    kind: "speech",
    open: (synthesizer: Synthesizer, callSignal: AbortSignal, source: Source) => {
      // The next voice gets the white space behind the last word too: a pause that is too long is
      // better than two words in one.
      const rest = text.slice(progress.heardUpTo);
      framer.begin(source);
      const call = openCall(synthesizer, rest, { framer, progress });
      return { ...call, parts: synthesizer.synthesize(rest, voice, callSignal) };
    },
    isWhole: () => !isSpeakable(text.slice(progress.heardUpTo)),
    flush: framer.flush,
  };
  return runTiers<Synthesizer, SpeechPart, AudioChunk>(run, signal);
}

type Speech = {
  readonly framer: Framer;
  /** Everything before this place in the text was heard. */
  readonly progress: { heardUpTo: number };
};

/** What becomes of the parts of one voice, which speaks the rest of the text. */
function openCall(
  { name, hasWordTimings }: Synthesizer,
  rest: string,
  { framer, progress }: Speech,
): Omit<TierCall<SpeechPart, AudioChunk>, "parts"> {
  const begin = { text: progress.heardUpTo, sample: framer.samples() };
  const words = hasWordTimings ? holdWords(rest, name) : estimateWords(rest);
  let hasBegun = false;
  const frame = (part: SpeechPart | undefined): readonly AudioChunk[] => {
    if (!part) return [];
    hasBegun = true;
    const placed = (part.words ?? []).map((word) => place(word, part.sampleRateHz, begin));
    const last = placed.at(-1);
    if (last) progress.heardUpTo = last.textStart + last.word.length;
    framer.addWords(placed);
    return framer.push(part);
  };
  return {
    push: (part) => frame(words.push(part)),
    end: () => [...frame(words.end()), ...framer.endVoice()],
    fail: () => [...frame(words.fail()), ...framer.endVoice()],
    hasBegun: () => hasBegun,
  };
}

/** Counts a word from the start of the whole text, in samples of 48 kHz. */
function place(
  word: WordTiming,
  sampleRateHz: number,
  begin: { readonly text: number; readonly sample: number },
): WordTiming {
  const at = (sample: number) => begin.sample + Math.round((sample * outputRateHz) / sampleRateHz);
  return {
    word: word.word,
    textStart: word.textStart + begin.text,
    startSample: at(word.startSample),
    endSample: at(word.endSample),
  };
}
