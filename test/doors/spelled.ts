import { samplesOf } from "../../server/core/audio/pcm.ts";
import { ProviderError } from "../../server/core/errors.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { createSpellingVoice, SAMPLES_A_LETTER } from "../support/spelling-voice.ts";

/** OpenAI's rate of sound is half the gateway's. */
const SAMPLES_A_LETTER_24 = SAMPLES_A_LETTER / 2;

/** The text that a spelling voice spoke, read from samples of 24 kHz: the middle of each letter. */
export function readSpelled24(bytes: Uint8Array): string {
  const pcm = samplesOf(Uint8Array.from(bytes));
  const letters = Math.round(pcm.length / SAMPLES_A_LETTER_24);
  return Array.from({ length: letters }, (_, index) =>
    String.fromCharCode(pcm[(index + 0.5) * SAMPLES_A_LETTER_24] ?? 0),
  ).join("");
}

/** How a voice that times its words fails. */
type TimedOptions = {
  /** The text that it does not speak. */
  readonly failing?: string;
  /** The letters of its first text after which it breaks off. */
  readonly breaksAfter?: number;
};

/** A voice that spells, and says when each word is heard: 10 ms for each letter. */
export function createTimedVoice({ failing, breaksAfter }: TimedOptions = {}): Synthesizer {
  const error = new ProviderError("timed", "server", "broke off");
  const gate = (text: string) => (text === failing ? Promise.reject(error) : undefined);
  const voice = createSpellingVoice({ name: "timed", gate });
  return {
    ...voice,
    hasWordTimings: true,
    async *synthesize(text, how, signal) {
      const words = [...text.matchAll(/\w+/g)].map(({ 0: word, index }) => ({
        word,
        textStart: index,
        startSample: index * SAMPLES_A_LETTER,
        endSample: (index + word.length) * SAMPLES_A_LETTER,
      }));
      let letters = 0;
      for await (const part of voice.synthesize(text, how, signal)) {
        const begun = words.filter(({ textStart }) => textStart === letters);
        yield { ...part, ...(begun.length > 0 && { words: begun }) };
        letters += 1;
        if (letters === breaksAfter) throw error;
      }
    },
  };
}
