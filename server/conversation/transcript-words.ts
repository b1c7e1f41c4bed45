import { spreadWords, wordsOf } from "../failover/words.ts";
import type { WordTiming } from "../models/synthesizer.ts";

/**
 * Estimates when the words of a voice are heard that tells no timings, by how the deltas of its
 * transcript come in between its sound. A delta comes with its sound or before it, so its words are
 * spread over what comes until the next.
 */
export type TranscriptWords = {
  /** Takes a delta in, when so many samples have come. Answers the words that can be placed now. */
  write(delta: string, samples: number): readonly WordTiming[];
  /** All has come, or no more will. Answers the words that are left, if there is sound for them. */
  end(samples: number): readonly WordTiming[];
};

/** Makes an estimate of one stretch. Words and samples count from its start. */
export function createTranscriptWords(): TranscriptWords {
  /** Text whose words are not placed yet, and where it begins. */
  let text = "";
  let textStart = 0;
  /** Up to here there are words. */
  let placedUntil = 0;

  const place = (next: string, samples: number): readonly WordTiming[] => {
    if (samples <= placedUntil) return [];
    // A word that goes on in the next delta belongs to that.
    const words = wordsOf(text + next).filter(
      (each) => each.textStart + each.word.length <= text.length,
    );
    const last = words.at(-1);
    if (!last) return [];
    const begin = textStart;
    const timings = spreadWords(words, placedUntil, samples);
    const length = last.textStart + last.word.length;
    text = text.slice(length);
    textStart += length;
    placedUntil = samples;
    return timings.map((timing) => ({ ...timing, textStart: timing.textStart + begin }));
  };
  return {
    write(delta, samples) {
      const words = place(delta, samples);
      text += delta;
      return words;
    },
    end: (samples) => place("", samples),
  };
}
