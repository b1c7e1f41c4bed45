import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { createSpellingVoice, SAMPLES_A_LETTER } from "./spelling-voice.ts";

/** A spelling voice that times its words: 10 ms a letter, spaces and marks included. */
export function createTimedVoice(): Synthesizer {
  const spelling = createSpellingVoice();
  return {
    name: "timed",
    hasWordTimings: true,
    async *synthesize(text, voice, signal) {
      let words = [...text.matchAll(/\w+/g)].map(({ 0: word, index }) => ({
        word,
        textStart: index,
        startSample: index * SAMPLES_A_LETTER,
        endSample: (index + word.length) * SAMPLES_A_LETTER,
      }));
      for await (const part of spelling.synthesize(text, voice, signal)) {
        yield { ...part, words };
        words = [];
      }
    },
  };
}
