import type { SpeechPart, WordTiming } from "../../models/synthesizer.ts";
import { blankForbidden, unescapeXml } from "./ssml.ts";

/** A word boundary as the service reports it. A tick is 100 ns. */
export type WordBoundary = {
  /** As in the document, possibly with XML escapes. */
  readonly word: string;
  readonly startTicks: number;
  readonly durationTicks: number;
};

/** Builds the parts of one text from the audio and the word boundaries that the service sends. */
export type PartBuilder = {
  /** Adds a word. It leaves with the next audio. */
  addWord(word: WordBoundary): void;
  /** The audio as a part, with the words added since the last one; undefined if it is empty. */
  addAudio(pcm: Int16Array, sampleRateHz: number): SpeechPart | undefined;
  /** What remains after the last audio: words reported after it. */
  end(): readonly SpeechPart[];
  /** What remains when the service failed: words that were heard in full. */
  fail(): readonly SpeechPart[];
};

/** Creates the builder for one text. */
export function createPartBuilder(text: string): PartBuilder {
  const locate = createWordLocator(text);
  let added: WordBoundary[] = [];
  let samples = 0;
  let rateHz = 0;
  const takeWords = (): readonly WordTiming[] => {
    // Without any audio no word was heard.
    if (samples === 0) return [];
    const words = added.map((word) => locate(word, rateHz));
    added = [];
    return words.filter((word) => word !== undefined);
  };
  return {
    addWord: (word) => {
      added.push(word);
    },
    addAudio(pcm, sampleRateHz) {
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

/** One inaudible sample of silence: words travel with audio only. */
function finalPart(words: readonly WordTiming[], sampleRateHz: number): readonly SpeechPart[] {
  return words.length > 0 ? [{ pcm: new Int16Array(1), sampleRateHz, words }] : [];
}

const ticksPerSecond = 10_000_000;

/**
 * Finds the reported words in the plain text, in order, each after the one before. The service's own
 * offsets refer to a document with markup, and its SDK corrects them by a search that fails at
 * escaped characters. A word that is not in the text, such as a number in words, has no timing.
 */
export function createWordLocator(
  text: string,
): (boundary: WordBoundary, sampleRateHz: number) => WordTiming | undefined {
  const plain = blankForbidden(text);
  let textEnd = 0;
  let lastStart = 0;
  return ({ word: reported, startTicks, durationTicks }, sampleRateHz) => {
    const found = [reported, unescapeXml(reported)]
      .map((word) => ({ word, textStart: word === "" ? -1 : plain.indexOf(word, textEnd) }))
      .find(({ textStart }) => textStart >= 0);
    if (found === undefined) return undefined;
    const sampleOf = (ticks: number) => Math.round((ticks * sampleRateHz) / ticksPerSecond);
    const startSample = Math.max(lastStart, sampleOf(startTicks));
    const endSample = Math.max(startSample + 1, sampleOf(startTicks + durationTicks));
    textEnd = found.textStart + found.word.length;
    lastStart = startSample;
    return { ...found, startSample, endSample };
  };
}
