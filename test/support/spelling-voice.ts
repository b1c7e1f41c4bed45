import { abortable, onAbort, throwIfAborted } from "../../server/core/async.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";

/** Samples that a spelling voice spends on one UTF-16 unit: 10 ms at 48 kHz. */
export const SAMPLES_A_LETTER = 480;

/** What a spelling voice has seen. */
export type SpellingVoice = Synthesizer & {
  /** Texts in the order in which they were given. */
  readonly texts: string[];
  /** How many calls were stopped by their signal. */
  readonly cancels: () => number;
  /** Calls in progress. */
  readonly active: () => number;
};

/** How a spelling voice behaves. */
export type SpellingOptions = {
  readonly name?: string;
  /** Waited for before the first letter of each text. */
  readonly gate?: (text: string) => Promise<unknown> | undefined;
};

/**
 * A voice whose sound can be read: each letter is a run of samples of the letter's own code, at
 * 48 kHz. So a test can tell from the audio alone which words were spoken, and where.
 */
export function createSpellingVoice(options: SpellingOptions = {}): SpellingVoice {
  const texts: string[] = [];
  let cancels = 0;
  let active = 0;
  return {
    name: options.name ?? "spelling",
    texts,
    cancels: () => cancels,
    active: () => active,
    async *synthesize(text, _voice, signal) {
      texts.push(text);
      active += 1;
      const forget = onAbort(signal, () => {
        cancels += 1;
      });
      try {
        const gate = options.gate?.(text);
        if (gate) await abortable(gate, signal);
        for (let at = 0; at < text.length; at++) {
          throwIfAborted(signal);
          const pcm = new Int16Array(SAMPLES_A_LETTER).fill(text.charCodeAt(at));
          yield { pcm, sampleRateHz: 48_000 };
        }
      } finally {
        active -= 1;
        forget();
      }
    },
  };
}

/** The text that a spelling voice spoke, read back from its samples. */
export function readSpelling(chunks: readonly Int16Array[]): string {
  const samples = chunks.flatMap((pcm) => Array.from(pcm));
  const letters = samples.filter((_, index) => index % SAMPLES_A_LETTER === 0);
  return letters.map((code) => String.fromCharCode(code & 0xffff)).join("");
}
