import type { SpeechPart, WordTiming } from "../../models/synthesizer.ts";
import { blankForbidden, unescapeXml } from "./ssml.ts";

/** Makes parts of the sound of one text and of what the service tells of its words. */
export type PartMaker = {
  /** Takes a word in; it leaves with the next sound. */
  tell(word: SpokenWord): void;
  /** The sound as a part, with the words that were told since the last; nothing if it is empty. */
  sound(pcm: Int16Array, sampleRateHz: number): SpeechPart | undefined;
  /** What is left when all sound has come: words that were told behind the last of it. */
  end(): readonly SpeechPart[];
  /** The same where the service failed: words that had come in full. */
  fail(): readonly SpeechPart[];
};

/** Makes the parts of one text. */
export function createPartMaker(text: string): PartMaker {
  const place = createWordPlacer(text);
  let told: SpokenWord[] = [];
  let samples = 0;
  let rateHz = 0;
  const takeWords = (): readonly WordTiming[] => {
    // Words whose sound never came were not heard.
    if (samples === 0) return [];
    const words = told.map((word) => place(word, rateHz));
    told = [];
    return words.filter((word) => word !== undefined);
  };
  return {
    tell: (word) => {
      told.push(word);
    },
    sound(pcm, sampleRateHz) {
      if (pcm.length === 0) return undefined;
      rateHz = sampleRateHz;
      samples += pcm.length;
      const words = takeWords();
      return { pcm, sampleRateHz, ...(words.length > 0 && { words }) };
    },
    end() {
      const end = samples + 1;
      const words = takeWords().filter(({ startSample }) => startSample < end);
      return finalPart(
        words.map((word) => ({ ...word, endSample: Math.min(word.endSample, end) })),
        rateHz,
      );
    },
    fail: () =>
      finalPart(
        takeWords().filter(({ endSample }) => endSample <= samples),
        rateHz,
      ),
  };
}

/** One sample of silence, which nobody hears: words travel with sound only. */
function finalPart(words: readonly WordTiming[], sampleRateHz: number): readonly SpeechPart[] {
  return words.length > 0 ? [{ pcm: new Int16Array(1), sampleRateHz, words }] : [];
}

/** A word as the service tells of it. A tick is 100 ns. */
export type SpokenWord = {
  /** As it stands in the document, perhaps with XML's own escapes. */
  readonly word: string;
  readonly startTicks: number;
  readonly durationTicks: number;
};

const ticksPerSecond = 10_000_000;

/**
 * Finds the words that a service tells of in the plain text, in order, each behind the one before.
 * The service's own offsets count in a document with markup and escapes, where its SDK finds them by
 * a search that goes wrong at an escaped character; so the search is made here, in the text itself.
 * A word that is not in the text (a number written out, say) has no timing.
 */
export function createWordPlacer(
  text: string,
): (spoken: SpokenWord, sampleRateHz: number) => WordTiming | undefined {
  const plain = blankForbidden(text);
  let textEnd = 0;
  let lastStart = 0;
  return ({ word: told, startTicks, durationTicks }, sampleRateHz) => {
    const place = [told, unescapeXml(told)]
      .map((word) => ({ word, textStart: word === "" ? -1 : plain.indexOf(word, textEnd) }))
      .find(({ textStart }) => textStart >= 0);
    if (place === undefined) return undefined;
    const sampleOf = (ticks: number) => Math.round((ticks * sampleRateHz) / ticksPerSecond);
    const startSample = Math.max(lastStart, sampleOf(startTicks));
    const endSample = Math.max(startSample + 1, sampleOf(startTicks + durationTicks));
    textEnd = place.textStart + place.word.length;
    lastStart = startSample;
    return { ...place, startSample, endSample };
  };
}
