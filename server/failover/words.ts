import { joinPcm } from "../core/audio/pcm.ts";
import { ProviderError } from "../core/errors.ts";
import type { SpeechPart, WordTiming } from "../models/synthesizer.ts";

/** A word, and where it begins in its text, in UTF-16 units. */
export type Word = { readonly word: string; readonly textStart: number };

/** Seconds a letter at 15 letters a second, an ordinary pace. */
const SECONDS_A_LETTER = 1 / 15;

/** Seconds a letter of the fastest voice that anybody could follow. */
const FEWEST_SECONDS_A_LETTER = 1 / 40;

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

/** The words of a text, in any script, without marks and white space. */
export function wordsOf(text: string): readonly Word[] {
  return Array.from(segmenter.segment(text))
    .filter(({ isWordLike }) => isWordLike)
    .map(({ segment, index }) => ({ word: segment, textStart: index }));
}

/** Spreads words over samples, in proportion to their letters. */
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
 * Decides with which part each word of a call travels. Synchronous: parts go in, and what is ready
 * comes out.
 */
export type WordPlacer = {
  push(part: SpeechPart): SpeechPart | undefined;
  /** The voice has ended. Throws a `protocol` error if it ended before the text did. */
  end(): SpeechPart | undefined;
  /** The voice has failed. Returns the sound that was said for certain. */
  fail(): SpeechPart | undefined;
};

/**
 * For a voice with word timings: passes sound on up to the end of a word, and holds the beginning of a
 * word back until all of it is there. Each part carries the words that are heard in full by its end,
 * each once. So if the voice fails, what it said is known to the word, and no word is heard twice.
 *
 * It holds one word of sound at most, or all that a voice sends ahead of the end of a word.
 */
export function holdWords(text: string, provider: string): WordPlacer {
  const pending: WordTiming[] = [];
  const endsEarly = createEndCheck(text);
  let held: Int16Array[] = [];
  let arrived = 0;
  let sent = 0;
  let sampleRateHz = 1;

  const release = (until: number): SpeechPart | undefined => {
    if (until <= sent) return undefined;
    const all = joinPcm(held);
    const pcm = all.subarray(0, until - sent);
    held = [all.subarray(until - sent)];
    sent = until;
    const next = pending.findIndex((word) => word.endSample > until);
    const words = pending.splice(0, next === -1 ? pending.length : next);
    return { pcm, sampleRateHz, ...(words.length > 0 && { words }) };
  };
  return {
    push(part) {
      pending.push(...(part.words ?? []));
      endsEarly.see(part.words ?? []);
      held.push(part.pcm);
      arrived += part.pcm.length;
      sampleRateHz = part.sampleRateHz;
      return release(wordBorder(pending, arrived));
    },
    end() {
      if (endsEarly.at(arrived, sampleRateHz)) {
        throw new ProviderError(provider, "protocol", "ended before the text did");
      }
      // A provider may place the end of a word behind the last sample.
      for (const [index, word] of pending.entries()) {
        pending[index] = { ...word, endSample: Math.min(word.endSample, arrived) };
      }
      return release(arrived);
    },
    fail: () => undefined,
  };
}

/**
 * Tells whether a voice ended early, even if properly: the text behind the last word that it timed
 * cannot have been said in the sound that is left. A word that is timed by another spelling (a number,
 * say) takes more sound than its letters need, so it is not missed.
 */
function createEndCheck(text: string) {
  const timed: WordTiming[] = [];
  return {
    see: (words: readonly WordTiming[]) => void timed.push(...words),
    at(samples: number, sampleRateHz: number): boolean {
      const last = timed.findLast(({ startSample }) => startSample < samples);
      // If it timed no word, what was heard is unknown.
      if (!last) return false;
      const missing = wordsOf(text.slice(last.textStart + last.word.length));
      const letters = missing.reduce((sum, { word }) => sum + word.length, 0);
      const leftSeconds = (samples - last.endSample) / sampleRateHz;
      return letters > 0 && leftSeconds < letters * FEWEST_SECONDS_A_LETTER;
    },
  };
}

/** The latest place that is not inside a word. */
function wordBorder(words: readonly WordTiming[], at: number): number {
  const split = words.find(({ startSample, endSample }) => startSample < at && at < endSample);
  return split ? split.startSample : at;
}

/**
 * For a voice without word timings: spreads the words of `text` over its samples. It holds one part
 * back, which carries the words at the end. If the voice fails, it is taken to have said as many words
 * as its samples hold at an ordinary pace.
 */
export function estimateWords(text: string): WordPlacer {
  let held: SpeechPart | undefined;
  let samples = 0;
  const last = (words: readonly Word[]): SpeechPart | undefined => {
    const timings = spreadWords(words, 0, samples);
    return held && { ...held, ...(timings.length > 0 && { words: timings }) };
  };
  return {
    push(part) {
      const ready = held;
      held = part;
      samples += part.pcm.length;
      return ready;
    },
    end: () => last(wordsOf(text)),
    fail() {
      const letters = samples / ((held?.sampleRateHz ?? 1) * SECONDS_A_LETTER);
      return last(saidWords(wordsOf(text), letters));
    },
  };
}

/** The words that lie at least by half within so many letters. */
function saidWords(words: readonly Word[], letters: number): readonly Word[] {
  const beyond = words.findIndex(({ word, textStart }) => textStart + word.length / 2 > letters);
  return beyond === -1 ? words : words.slice(0, beyond);
}
