import type { WordTiming } from "../../models/synthesizer.ts";
import { blankForbidden, unescapeXml } from "./ssml.ts";

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
