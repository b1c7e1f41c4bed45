import { applyGain } from "../core/audio/loudness.ts";
import {
  createConverter,
  createFrameCutter,
  joinPcm,
  outputRateHz,
  type RatedPcm,
} from "../core/audio/pcm.ts";
import { isSpeakable } from "../core/text/sentences.ts";
import type { SpeechPart, Synthesizer, Voice, WordTiming } from "../models/synthesizer.ts";
import type { TierOutcome } from "../telemetry/activity.ts";
import { createSoundCheck } from "./sound-check.ts";
import type { Tier } from "./tier.ts";
import { runTiers, type TierCall, type TierListener } from "./tiers.ts";
import { recordOf, type VoiceRecord } from "./voice-record.ts";
import { chooseVoices } from "./voices.ts";
import { estimateWords, holdWords, type PlacedPart } from "./words.ts";

/** A slice of a voice: 48 kHz mono, never empty. */
export type AudioChunk = {
  readonly type: "audio";
  readonly pcm: Int16Array;
  /** The tier that spoke. */
  readonly synthesizer: string;
  /**
   * Words whose timing was not known before, each once; they are heard in this chunk or near it.
   * Samples count from the start of the text, or of the turn: the producer says which.
   */
  readonly words?: readonly WordTiming[];
};

/** Converts sound to 48 kHz and cuts it into chunks. Each carries the words added since the last. */
export type Framer = {
  /** Begins a voice. If another was heard before, the first 5 ms fade in. `level` sets its loudness. */
  beginVoice(level?: (pcm: Int16Array) => Int16Array): void;
  /** Takes sound of one tier and returns the chunks that it fills. */
  push(tier: string, part: RatedPcm): readonly AudioChunk[];
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
const FADE_SAMPLES = (5 * outputRateHz) / 1000;

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
  let samples = 0;
  let newest = new Int16Array(0);
  let level = (pcm: Int16Array) => pcm;
  let toFadeIn = 0;
  const toChunk = (pcm: Int16Array): AudioChunk => {
    const known = words;
    words = [];
    return { type: "audio", pcm, synthesizer, ...(known.length > 0 && { words: known }) };
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
    const ready = Math.max(0, pcm.length - holds);
    if (ready === 0) {
      const all = joinPcm([newest, pcm]);
      const ripe = Math.max(0, all.length - holds);
      newest = all.slice(ripe);
      return cutter.push(all.subarray(0, ripe)).map(toChunk);
    }
    const frames = [...cutter.push(newest), ...cutter.push(pcm.subarray(0, ready))];
    newest = pcm.slice(ready);
    return frames.map(toChunk);
  };
  return {
    beginVoice(next = (pcm) => pcm) {
      level = next;
      toFadeIn = samples === 0 ? 0 : FADE_SAMPLES;
    },
    push(tier, part) {
      synthesizer = tier;
      return cut(converter.push(part));
    },
    addWords(more) {
      if (more.length > 0) words = [...words, ...more];
    },
    endVoice(brokeOff = false) {
      const rest = cut(converter.flush());
      const { length } = newest;
      if (brokeOff) newest = fade(newest, (at) => (length - 1 - at) / length);
      return rest;
    },
    flush() {
      const rest = [...cutter.push(newest), ...cutter.flush()].map(toChunk);
      newest = new Int16Array(0);
      return rest;
    },
    samples: () => samples,
  };
}

/** The samples times a factor, up to the first that is not below 1. */
function fade(pcm: Int16Array, factor: (at: number) => number): Int16Array<ArrayBuffer> {
  return Int16Array.from(pcm, (sample, at) => Math.round(sample * Math.min(1, factor(at))));
}

/** The speech tiers, their listener and the length of a chunk. */
export type SpeechRun = TierListener & {
  /** Best first. */
  readonly tiers: readonly Tier<Synthesizer>[];
  readonly samplesPerChunk: number;
};

/**
 * Speaks one text by the tiers, and yields the chunks of each part, never none. Words count from the
 * text's start. If a voice fails midway the next continues from the first word that was not heard, so
 * that each word is heard once. Sound from before an error comes before the error.
 *
 * All voices of a chain are as loud, within 2 LU, and a hand-over fades out and in. A voice that answers
 * a text with silence, or with sound far too short for it, has failed in that language alone. Throws
 * `NoProviderLeft` with `language` causes alone if no voice speaks the language.
 */
export function speakText(
  { samplesPerChunk, onOutcome, ...chain }: SpeechRun,
  { text, voice }: { readonly text: string; readonly voice: Voice },
  signal: AbortSignal,
): AsyncGenerator<readonly AudioChunk[]> {
  const framer = createFramer(samplesPerChunk, FADE_SAMPLES);
  const progress = { heardUpTo: 0 };
  const choice = chooseVoices(chain.tiers, { text, voice });
  if (choice.refusal) return refuse(choice.refusal);
  const { language, levels } = choice;
  const run = {
    ...chain,
    kind: "speech",
    onOutcome(outcome: TierOutcome) {
      choice.note(outcome);
      onOutcome?.(outcome);
    },
    open: (synthesizer: Synthesizer, callSignal: AbortSignal) => {
      // The next voice gets the white space behind the last word too: a pause that is too long is
      // better than two words in one.
      const rest = text.slice(progress.heardUpTo);
      if (synthesizer.isLastResort && chain.tiers.length > 1)
        chain.onLastResort?.(synthesizer.name);
      const call = openCall(synthesizer, rest, { framer, progress, language, levels });
      return { ...call, parts: synthesizer.synthesize(rest, voice, callSignal) };
    },
    canOpen: choice.canSpeak,
    isWhole: () => !isSpeakable(text.slice(progress.heardUpTo)),
    flush: framer.flush,
  };
  return runTiers<Synthesizer, SpeechPart, AudioChunk>(run, signal);
}

// biome-ignore lint/correctness/useYield: it ends before its first chunk.
async function* refuse(error: Error): AsyncGenerator<readonly AudioChunk[]> {
  throw error;
}

type Speech = {
  readonly framer: Framer;
  /** Everything before this place in the text was heard. */
  readonly progress: { heardUpTo: number };
  readonly language: string;
  /** Whether voices are brought to one loudness. */
  readonly levels: boolean;
};

/** What becomes of the parts of one voice, which speaks the rest of the text. */
function openCall(
  synthesizer: Synthesizer,
  rest: string,
  { framer, progress, language, levels }: Speech,
): Omit<TierCall<SpeechPart, AudioChunk>, "parts"> {
  const { name } = synthesizer;
  const record = recordOf(synthesizer);
  const begin = { text: progress.heardUpTo, sample: framer.samples() };
  const pace = record.pace(language);
  const options = { text: rest, provider: name, pace: pace ?? 1 };
  const words = synthesizer.hasWordTimings ? holdWords(options) : estimateWords(options);
  const sound = createSoundCheck(name, rest, pace);
  let hasBegun = false;
  framer.beginVoice(levels ? createLevel(record.loudness) : undefined);
  const frame = (part: PlacedPart | undefined): readonly AudioChunk[] => {
    if (!part) return [];
    const placed = part.words.map((word) => place(word, part.sampleRateHz, begin));
    const ends = placed.map(({ textStart, word }) => textStart + word.length);
    progress.heardUpTo = Math.max(progress.heardUpTo, ...ends);
    framer.addWords(placed);
    if (part.pcm.length === 0) return [];
    hasBegun = true;
    return framer.push(name, part);
  };
  return {
    push(part) {
      if (part.words) words.addWords(part.words);
      return sound.push(part).flatMap((passed) => frame(words.push(passed)));
    },
    end() {
      const trailing = sound.end().flatMap((passed) => frame(words.push(passed)));
      const last = frame(words.end());
      record.noteSpoken(language, rest, sound.seconds());
      return [...trailing, ...last, ...framer.endVoice()];
    },
    fail() {
      const isUnspoken = sound.isUnspoken();
      if (isUnspoken) record.noteUnspoken(language);
      if (isUnspoken) return framer.endVoice(true);
      const pause = sound.fail().flatMap((passed) => frame(words.push(passed)));
      return [...pause, ...frame(words.fail()), ...framer.endVoice(true)];
    },
    hasBegun: () => hasBegun,
  };
}

/** Brings a voice to the loudness of all, without a step, and measures it where that is wanted. */
function createLevel(loudness: VoiceRecord["loudness"]): (pcm: Int16Array) => Int16Array {
  const isMeasured = loudness.isWanted();
  let gain = loudness.isKnown() ? loudness.gain() : undefined;
  return (pcm) => {
    if (isMeasured) loudness.measure(pcm);
    const to = isMeasured ? loudness.gain() : (gain ?? 1);
    // The first sound of a voice that was never heard has nothing to go over from.
    const from = gain ?? to;
    gain = to;
    return applyGain(pcm, from, to);
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
