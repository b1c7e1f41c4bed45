import { joinPcm } from "../core/audio/pcm.ts";
import { ProviderError } from "../core/errors.ts";
import type { SpeechPart, WordTiming } from "../models/synthesizer.ts";

/** A word, and where it begins in its text, in UTF-16 units. */
export type Word = { readonly word: string; readonly textStart: number };

/** Seconds that a letter takes at about 15 letters a second, where nothing better is known. */
const SECONDS_A_LETTER = 1 / 15;

/** What a letter takes at least: nobody could follow a voice that is faster. */
const FEWEST_SECONDS_A_LETTER = 1 / 40;

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

/** The words of a text, in any script, without marks and white space. */
export function wordsOf(text: string): readonly Word[] {
  return Array.from(segmenter.segment(text))
    .filter(({ isWordLike }) => isWordLike)
    .map(({ segment, index }) => ({ word: segment, textStart: index }));
}

/** Spreads words over a stretch of samples, each by its letters. */
export function spreadWords(
  words: readonly Word[],
  startSample: number,
  endSample: number,
): readonly WordTiming[] {
  const letters = words.reduce((sum, { word }) => sum + word.length, 0);
  let before = 0;
  const at = () => startSample + Math.round(((endSample - startSample) * before) / letters);
  return words.map(({ word, textStart }) => {
    const start = at();
    before += word.length;
    return { word, textStart, startSample: start, endSample: at() };
  });
}

/**
 * Lets sound through up to the end of a word, and holds the beginning of a word back until all of
 * it is there. Each part bears the words that are heard in full by its end, each once; so what a
 * voice that fails has said is known to the word, and no word is heard twice.
 */
export async function* holdWords(parts: AsyncIterable<SpeechPart>): AsyncGenerator<SpeechPart> {
  const known: WordTiming[] = [];
  let held: Int16Array[] = [];
  let arrived = 0;
  let sent = 0;
  let sampleRateHz = 0;

  const release = (until: number): SpeechPart | undefined => {
    if (until <= sent) return undefined;
    const all = joinPcm(held);
    const pcm = all.subarray(0, until - sent);
    held = [all.subarray(until - sent)];
    sent = until;
    const isHeard = known.findIndex((word) => word.endSample > until);
    const words = known.splice(0, isHeard === -1 ? known.length : isHeard);
    return { pcm, sampleRateHz, ...(words.length > 0 && { words }) };
  };

  for await (const part of parts) {
    known.push(...(part.words ?? []));
    held.push(part.pcm);
    arrived += part.pcm.length;
    sampleRateHz = part.sampleRateHz;
    const ready = release(wordBorder(known, arrived));
    if (ready) yield ready;
  }
  // A word may be said to end behind the last sample: rounding, or a provider's own idea of it.
  for (const [index, word] of known.entries()) {
    known[index] = { ...word, endSample: Math.min(word.endSample, arrived) };
  }
  const last = release(arrived);
  if (last) yield last;
}

/**
 * Passes on a voice that tells the timing of its words. Throws a `protocol` error at the end if what
 * follows the last word that was told cannot have been said in the sound that is left: the voice has
 * ended early, however properly. A word that is told otherwise than it is written (a number, say)
 * takes more sound than its letters need, so it is not missed.
 */
export async function* refuseEarlyEnd(
  parts: AsyncIterable<SpeechPart>,
  { text, provider }: { readonly text: string; readonly provider: string },
): AsyncGenerator<SpeechPart> {
  const told: WordTiming[] = [];
  let samples = 0;
  let sampleRateHz = 1;
  for await (const part of parts) {
    told.push(...(part.words ?? []));
    samples += part.pcm.length;
    sampleRateHz = part.sampleRateHz;
    yield part;
  }
  const last = told.findLast(({ startSample }) => startSample < samples);
  // Of a voice that told nothing it is not known what was heard.
  if (!last) return;
  const missing = wordsOf(text.slice(last.textStart + last.word.length));
  const letters = missing.reduce((sum, { word }) => sum + word.length, 0);
  const leftSeconds = (samples - last.endSample) / sampleRateHz;
  if (letters > 0 && leftSeconds < letters * FEWEST_SECONDS_A_LETTER) {
    throw new ProviderError(provider, "protocol", "ended before the text did");
  }
}

/** The latest place that is not inside a word. */
function wordBorder(words: readonly WordTiming[], at: number): number {
  const split = words.find(({ startSample, endSample }) => startSample < at && at < endSample);
  return split ? split.startSample : at;
}

/**
 * Adds timings to a voice that tells none: the words of `text`, spread over its samples. One part is
 * held back, to bear them at the end. If the voice fails, it is taken to have said as many words as
 * its samples would hold at an ordinary pace; these are told before the error.
 */
export async function* estimateWords(
  parts: AsyncIterable<SpeechPart>,
  text: string,
): AsyncGenerator<SpeechPart> {
  const words = wordsOf(text);
  let held: SpeechPart | undefined;
  let samples = 0;
  const withWords = function* (count: number) {
    const timings = spreadWords(words.slice(0, count), 0, samples);
    if (held) yield { ...held, ...(timings.length > 0 && { words: timings }) };
  };
  try {
    for await (const part of parts) {
      if (held) yield held;
      held = part;
      samples += part.pcm.length;
    }
  } catch (error) {
    const letters = samples / ((held?.sampleRateHz ?? 1) * SECONDS_A_LETTER);
    yield* withWords(countWords(words, letters));
    throw error;
  }
  yield* withWords(words.length);
}

function countWords(words: readonly Word[], letters: number): number {
  const beyond = words.findIndex(({ word, textStart }) => textStart + word.length / 2 > letters);
  return beyond === -1 ? words.length : beyond;
}
