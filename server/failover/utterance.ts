import { createConverter, outputRateHz } from "../core/audio/pcm.ts";
import { isSpeakable } from "../core/text/sentences.ts";
import type { SpeechPart, Synthesizer, Voice, WordTiming } from "../models/synthesizer.ts";
import { runTiers, type Tier, type TierListener } from "./tiers.ts";
import { estimateWords, holdWords, refuseEarlyEnd } from "./words.ts";

/** The speech tiers, and who is told what happens to them. */
export type UtteranceRun = TierListener & {
  /** Best first. */
  readonly tiers: readonly Tier<Synthesizer>[];
};

/** A piece of one text's voice at 48 kHz. */
export type UtterancePart = {
  /** The tier that spoke. */
  readonly tier: string;
  /** May be empty while the rate is being converted. */
  readonly pcm: Int16Array;
  /** Words heard in full by the end of this part, each once; samples of 48 kHz from the text's start. */
  readonly words: readonly WordTiming[];
};

/**
 * One text's voice by the tiers. A voice that fails midway is followed by the next from the first
 * word that was not heard, so that each word is heard once.
 */
export async function* speakText(
  chain: UtteranceRun,
  { text, voice }: { readonly text: string; readonly voice: Voice },
  signal: AbortSignal,
): AsyncGenerator<UtterancePart> {
  /** Where in the text the present call begins, and up to where all was heard. */
  const place = { begin: 0, heard: 0 };
  /** Samples of earlier calls, and of the present one, at 48 kHz. */
  const samples = { before: 0, now: 0 };

  const open = (synthesizer: Synthesizer, callSignal: AbortSignal) => {
    // The white space behind the last word goes to the next voice too: a pause too long is better
    // than two words in one.
    place.begin = place.heard;
    samples.before += samples.now;
    samples.now = 0;
    const rest = text.slice(place.begin);
    const parts = synthesizer.synthesize(rest, voice, callSignal);
    if (!synthesizer.hasWordTimings) return to48k(estimateWords(parts, rest));
    return to48k(holdWords(refuseEarlyEnd(parts, { text: rest, provider: synthesizer.name })));
  };
  const isWhole = () => !isSpeakable(text.slice(place.heard));
  const run = { ...chain, kind: "speech", open, isWhole };
  for await (const { tier, part } of runTiers(run, signal)) {
    samples.now += part.pcm.length;
    const words = part.words.map((word) => shift(word, place.begin, samples.before));
    const last = words.at(-1);
    if (last) place.heard = last.textStart + last.word.length;
    yield { tier, pcm: part.pcm, words };
  }
}

type Part48k = Omit<UtterancePart, "tier">;

async function* to48k(parts: AsyncIterable<SpeechPart>): AsyncGenerator<Part48k> {
  const converter = createConverter();
  const rest = function* (): Generator<Part48k> {
    const pcm = converter.flush();
    if (pcm.length > 0) yield { pcm, words: [] };
  };
  try {
    for await (const part of parts) {
      const words = (part.words ?? []).map((word) => rescale(word, part.sampleRateHz));
      yield { pcm: converter.push(part), words };
    }
  } catch (error) {
    yield* rest();
    throw error;
  }
  yield* rest();
}

function rescale(word: WordTiming, sampleRateHz: number): WordTiming {
  const scale = (sample: number) => Math.round((sample * outputRateHz) / sampleRateHz);
  return { ...word, startSample: scale(word.startSample), endSample: scale(word.endSample) };
}

function shift(word: WordTiming, textOffset: number, sampleOffset: number): WordTiming {
  return {
    word: word.word,
    textStart: word.textStart + textOffset,
    startSample: word.startSample + sampleOffset,
    endSample: word.endSample + sampleOffset,
  };
}
