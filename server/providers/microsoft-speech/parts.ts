import { FASTEST, ordinarySeconds } from "../../core/text/pace.ts";
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
 * Finds the reported words in the plain text. What is heard later stands later in the text, in whatever
 * order the words are reported. The service's own offsets refer to a document with markup, and its SDK
 * corrects them by a search that fails at escaped characters. A word that is not in the text, such as a
 * number in words, has no timing.
 */
export function createWordLocator(
  text: string,
): (boundary: WordBoundary, sampleRateHz: number) => WordTiming | undefined {
  const plain = blankForbidden(text);
  /** The words found so far, by time. */
  const located: Located[] = [];
  return (boundary, sampleRateHz) => {
    const { startTicks, durationTicks } = boundary;
    const later = located.findIndex((other) => other.startTicks > startTicks);
    const at = later === -1 ? located.length : later;
    const found = findBetween(plain, boundary, located[at - 1], located[at]);
    if (found === undefined) return undefined;
    located.splice(at, 0, { ...found, startTicks, endTicks: startTicks + durationTicks });
    const sampleOf = (ticks: number) => Math.round((ticks * sampleRateHz) / ticksPerSecond);
    const startSample = sampleOf(startTicks);
    const endSample = Math.max(startSample + 1, sampleOf(startTicks + durationTicks));
    return { ...found, startSample, endSample };
  };
}

type Place = { readonly word: string; readonly textStart: number };
type Located = Place & { readonly startTicks: number; readonly endTicks: number };

function findBetween(
  plain: string,
  { word: reported, startTicks }: WordBoundary,
  before: Located | undefined,
  after: Located | undefined,
): Place | undefined {
  const from = before ? before.textStart + before.word.length : 0;
  const to = after?.textStart ?? plain.length;
  for (const word of new Set([reported, unescapeXml(reported)])) {
    const textStart = word === "" ? -1 : findWord(plain, word, from);
    if (textStart < 0 || textStart + word.length > to) continue;
    const seconds = (startTicks - (before?.endTicks ?? 0)) / ticksPerSecond;
    if (fits(plain.slice(from, textStart), seconds)) return { word, textStart };
  }
  return undefined;
}

/** Whether the words in between can have been said: else the same word further on was found. */
function fits(skipped: string, seconds: number): boolean {
  const words = skipped.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return words.length === 0 || ordinarySeconds(words.join("")) * FASTEST <= seconds;
}

/** Where a word begins at or after `from`, and not inside a longer one; -1 if nowhere. */
function findWord(plain: string, word: string, from: number): number {
  for (let at = plain.indexOf(word, from); at >= 0; at = plain.indexOf(word, at + 1)) {
    const end = at + word.length;
    if (!isInside(plain, at) && !isInside(plain, end)) return at;
  }
  return -1;
}

/** Whether letters or digits of one word stand on both sides. Some scripts have no spaces. */
function isInside(plain: string, at: number): boolean {
  const [left = ""] = /.$/su.exec(plain.slice(Math.max(0, at - 2), at)) ?? [];
  const right = String.fromCodePoint(plain.codePointAt(at) ?? 0x20);
  if (unspaced.test(left) || unspaced.test(right)) return false;
  return inWord.test(left) && inWord.test(right);
}

const inWord = /[\p{L}\p{M}\p{N}]/u;
const unspaced =
  /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}]/u;
