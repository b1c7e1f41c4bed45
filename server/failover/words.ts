import { joinPcm } from "../core/audio/pcm.ts";
import { ProviderError } from "../core/errors.ts";
import { FASTEST, ordinarySeconds } from "../core/text/pace.ts";
import type { SpeechPart, WordTiming } from "../models/synthesizer.ts";
import { pauseSamples } from "./sound-check.ts";

/** A word, and where it begins in its text, in UTF-16 units. */
export type Word = { readonly word: string; readonly textStart: number };

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The words of a text, in any script, without marks and white space. */
export function wordsOf(text: string): readonly Word[] {
  return Array.from(segmenter.segment(text))
    .filter(({ isWordLike }) => isWordLike)
    .map(({ segment, index }) => ({ word: segment, textStart: index }));
}

/** Scripts without spaces, where a word is only what a dictionary takes for one. */
const unspaced =
  /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}]/u;

/** What is heard or not as one: words, and graphemes where a script has no spaces. */
function unitsOf(text: string): readonly Word[] {
  return wordsOf(text).flatMap(({ word, textStart }) =>
    unspaced.test(word)
      ? Array.from(graphemes.segment(word), ({ segment, index }) => ({
          word: segment,
          textStart: textStart + index,
        }))
      : [{ word, textStart }],
  );
}

/** Spreads words over samples, in proportion to the time that their letters take. */
export function spreadWords(
  words: readonly Word[],
  startSample: number,
  endSample: number,
): readonly WordTiming[] {
  const all = words.reduce((sum, { word }) => sum + ordinarySeconds(word), 0);
  let before = 0;
  const at = () => startSample + Math.round(((endSample - startSample) * before) / all);
  return words.map(({ word, textStart }) => {
    const start = at();
    before += ordinarySeconds(word);
    return { word, textStart, startSample: start, endSample: at() };
  });
}

/** Sound, possibly none, and the words that are heard in full by its end, each once. */
export type PlacedPart = {
  readonly pcm: Int16Array;
  readonly sampleRateHz: number;
  readonly words: readonly WordTiming[];
};

/**
 * Decides with which part each word of a call travels. Synchronous: parts go in, and what is ready
 * comes out.
 */
export type WordPlacer = {
  /** Takes words whose timing became known, in any order. */
  addWords(words: readonly WordTiming[]): void;
  /** Takes the next sound. */
  push(part: SpeechPart): PlacedPart | undefined;
  /** The voice has ended. Throws a `protocol` error if it ended before the text did. */
  end(): PlacedPart | undefined;
  /** The voice has failed. Returns what was said for certain, or by the best estimate. */
  fail(): PlacedPart | undefined;
};

function orNone(part: PlacedPart): PlacedPart | undefined {
  return part.pcm.length + part.words.length > 0 ? part : undefined;
}

/** What a placer knows of the call. */
export type PlacerOptions = {
  readonly text: string;
  /** The tier's name, for errors. */
  readonly provider: string;
  /** Seconds of this voice for a second at an ordinary pace; 1 if nothing is known. */
  readonly pace: number;
};

/** A timing may place the end of a word so far behind the last sample, as a share of the word. */
const INEXACT_SHARE = 0.25;

/** Sound that waits for its timings, in seconds: a long word. Then it goes on without them. */
const LONGEST_WAIT = 0.4;

/**
 * For a voice with word timings: passes sound on up to the end of a word, and holds the beginning of a
 * word back until all of it is there. Each part carries the words that are heard in full by its end,
 * each once. So if the voice fails, what it said is known to the word, and no word is heard twice.
 *
 * Timings may come late and out of order: sound behind the last timed word waits for them, 0.4 s of
 * sound at most. What a voice said without timing it is estimated.
 */
export function holdWords({ text, provider, pace }: PlacerOptions): WordPlacer {
  /** Timed words that did not travel yet, in order. */
  const pending: WordTiming[] = [];
  const timed = createTimedText(text);
  let held: Int16Array[] = [];
  let arrived = 0;
  let sent = 0;
  let sampleRateHz = 1;

  const takeUntil = (until: number, isHeard: (word: WordTiming) => boolean): PlacedPart => {
    const all = joinPcm(held);
    const pcm = all.subarray(0, until - sent);
    held = [all.subarray(until - sent)];
    sent = until;
    const next = pending.findIndex((word) => !isHeard(word));
    return { pcm, sampleRateHz, words: pending.splice(0, next === -1 ? pending.length : next) };
  };
  const release = (until: number): PlacedPart | undefined => {
    const border = Math.max(sent, wordBorder(pending, until));
    return orNone(takeUntil(border, ({ endSample }) => endSample <= border));
  };
  return {
    addWords(words) {
      pending.push(...timed.add(words));
      pending.sort((a, b) => a.startSample - b.startSample);
    },
    push(part) {
      held.push(part.pcm);
      arrived += part.pcm.length;
      sampleRateHz = part.sampleRateHz;
      if (timed.isWhole()) return release(arrived);
      const waiting = Math.round(LONGEST_WAIT * sampleRateHz);
      return release(Math.min(arrived, Math.max(timed.endSample(), arrived - waiting)));
    },
    end() {
      if (arrived === 0) return undefined;
      if (timed.endsEarly(arrived, sampleRateHz)) {
        throw new ProviderError(provider, "protocol", "ended before the text did");
      }
      const rest = takeUntil(arrived, () => true);
      // A provider may place the end of a word behind the last sample.
      const words = rest.words.map((word) => ({
        ...word,
        endSample: Math.min(word.endSample, arrived),
      }));
      const all = timed.isEmpty() ? spreadWords(wordsOf(text), 0, arrived) : words;
      return orNone({ ...rest, words: all });
    },
    fail() {
      // A word of which most was heard is not said again.
      const half = ({ startSample, endSample }: WordTiming) => (startSample + endSample) / 2;
      // The pause behind the last word is heard too, so that two words do not run into one.
      const spoken = sent;
      const end = sent + pauseSamples(joinPcm(held), sampleRateHz);
      const known = takeUntil(end, (word) => half(word) <= end);
      if (pending.length > 0 || timed.isWhole()) return orNone(known);
      const guessed = timed.estimate(spoken, sampleRateHz, pace);
      return orNone({ ...known, words: [...known.words, ...guessed] });
    },
  };
}

/** The words of one text that a voice has timed. */
function createTimedText(text: string) {
  const all: WordTiming[] = [];
  let last: WordTiming | undefined;
  const textEnd = () => (last ? last.textStart + last.word.length : 0);
  const words = wordsOf(text);
  return {
    /** Takes words, and returns those that can be true: later in the text is later in the sound. */
    add(known: readonly WordTiming[]): readonly WordTiming[] {
      return known.filter((word) => {
        const fits = all.every((other) => agrees(word, other));
        if (fits) all.push(word);
        if (fits && word.textStart >= (last?.textStart ?? 0)) last = word;
        return fits;
      });
    },
    isEmpty: () => all.length === 0,
    /** True if no word is left without a timing behind the last one that has one. */
    isWhole: () => (words.at(-1)?.textStart ?? -1) < textEnd(),
    /** The sample where the last timed word ends. */
    endSample: () => last?.endSample ?? 0,
    /** Words without a timing in the sound up to here, behind the last word that has one. */
    estimate(until: number, sampleRateHz: number, pace: number): readonly WordTiming[] {
      const { endSample = 0 } = last ?? {};
      // Its own timings tell the pace best, if there are some.
      const timedSeconds = ordinarySeconds(text.slice(0, textEnd()));
      const ownPace = all.length < 3 ? pace : endSample / sampleRateHz / timedSeconds;
      const seconds = (until - endSample) / sampleRateHz;
      const said = saidUnits(text.slice(textEnd()), seconds / ownPace);
      const words = said.map((unit) => ({ ...unit, textStart: unit.textStart + textEnd() }));
      return spreadWords(words, endSample, until);
    },
    /**
     * Tells whether a voice ended early, even if properly: the text behind the last word that it timed
     * cannot have been said in the sound that is left. A word that is timed by another spelling (a
     * number, say) takes more sound than its letters need, so it is not missed.
     */
    endsEarly(samples: number, sampleRateHz: number): boolean {
      const heard = all.filter(({ startSample }) => startSample < samples);
      const final = heard.reduce<WordTiming | undefined>(
        (latest, word) => (latest && latest.textStart > word.textStart ? latest : word),
        undefined,
      );
      // If it timed no word, what was heard is unknown.
      if (!final) return false;
      const lacking = (final.endSample - samples) / (final.endSample - final.startSample);
      if (lacking > INEXACT_SHARE) return true;
      const missing = words.filter(
        ({ textStart }) => textStart >= final.textStart + final.word.length,
      );
      const seconds = missing.reduce((sum, { word }) => sum + ordinarySeconds(word), 0);
      const leftSeconds = (samples - final.endSample) / sampleRateHz;
      return seconds > 0 && leftSeconds < seconds * FASTEST;
    },
  };
}

function agrees(word: WordTiming, other: WordTiming): boolean {
  const inText = word.textStart - other.textStart;
  return inText !== 0 && inText * (word.startSample - other.startSample) >= 0;
}

/** The latest place that is not inside a word. */
function wordBorder(words: readonly WordTiming[], at: number): number {
  const split = words.find(({ startSample, endSample }) => startSample < at && at < endSample);
  return split ? split.startSample : at;
}

/**
 * For a voice without word timings: spreads the words of `text` over its samples. It holds one part
 * back, which carries the words at the end. If the voice fails, it is taken to have said as many words
 * as its samples hold at its pace.
 */
export function estimateWords({ text, pace }: Omit<PlacerOptions, "provider">): WordPlacer {
  let held: SpeechPart | undefined;
  let samples = 0;
  const last = (words: readonly Word[]): PlacedPart | undefined =>
    held && { ...held, words: spreadWords(words, 0, samples) };
  return {
    addWords: () => undefined,
    push(part) {
      const ready = held;
      held = part;
      samples += part.pcm.length;
      return ready && { ...ready, words: [] };
    },
    end: () => last(wordsOf(text)),
    fail: () => last(saidUnits(text, samples / (held?.sampleRateHz ?? 1) / pace)),
  };
}

/** The words, or graphemes, that lie at least by half within so many seconds of an ordinary pace. */
export function saidUnits(text: string, seconds: number): readonly Word[] {
  const units = unitsOf(text);
  let passed = 0;
  let from = 0;
  const beyond = units.findIndex(({ word, textStart }) => {
    const length = ordinarySeconds(word);
    passed += ordinarySeconds(text.slice(from, textStart)) + length;
    from = textStart + word.length;
    return passed - length / 2 > seconds;
  });
  return beyond === -1 ? units : units.slice(0, beyond);
}
