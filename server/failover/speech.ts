import { applyGain } from "../core/audio/loudness.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import { isSpeakable } from "../core/text/sentences.ts";
import type { SpeechPart, Synthesizer, Voice, WordTiming } from "../models/synthesizer.ts";
import type { TierOutcome } from "../telemetry/activity.ts";
import { type AudioChunk, createFramer, FADE_SAMPLES, type Framer } from "./framer.ts";
import { createSoundCheck } from "./sound-check.ts";
import type { Tier } from "./tier.ts";
import { runTiers, type Source, type TierCall, type TierListener, type TurnTime } from "./tiers.ts";
import { recordOf, type VoiceRecord } from "./voice-record.ts";
import { chooseVoices } from "./voices.ts";
import { estimateWords, holdWords, type PlacedPart } from "./words.ts";

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
    kind: "speech" as const,
    onOutcome(outcome: TierOutcome) {
      choice.note(outcome);
      onOutcome?.(outcome);
    },
    open: (synthesizer: Synthesizer, callSignal: AbortSignal, source: Source) => {
      // The next voice gets the white space behind the last word too: a pause that is too long is
      // better than two words in one.
      const rest = text.slice(progress.heardUpTo);
      if (synthesizer.isLastResort && chain.tiers.length > 1)
        chain.onLastResort?.(synthesizer.name);
      const speech = { framer, progress, language, levels, source };
      const call = openCall(synthesizer, rest, speech);
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
  readonly source: Source;
};

/** What becomes of the parts of one voice, which speaks the rest of the text. */
function openCall(
  synthesizer: Synthesizer,
  rest: string,
  { framer, progress, language, levels, source }: Speech,
): Omit<TierCall<SpeechPart, AudioChunk>, "parts"> {
  const { name } = synthesizer;
  const record = recordOf(synthesizer);
  const begin = { text: progress.heardUpTo, sample: framer.samples() };
  const pace = record.pace(language);
  const options = { text: rest, provider: name, pace: pace ?? 1 };
  const words = synthesizer.hasWordTimings ? holdWords(options) : estimateWords(options);
  const sound = createSoundCheck(name, rest, pace);
  let hasBegun = false;
  framer.begin(source, levels ? createLevel(record.loudness) : undefined);
  const frame = (part: PlacedPart | undefined): readonly AudioChunk[] => {
    if (!part) return [];
    if (part.words.length > 0) {
      const placed = part.words.map((word) => place(word, part.sampleRateHz, begin));
      const ends = placed.map(({ textStart, word }) => textStart + word.length);
      progress.heardUpTo = Math.max(progress.heardUpTo, ...ends);
      framer.addWords(placed);
    }
    if (part.pcm.length === 0) return [];
    hasBegun = true;
    return framer.push(part);
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
    usage: () => ({ characters: rest.length, audioSeconds: sound.seconds() }),
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
