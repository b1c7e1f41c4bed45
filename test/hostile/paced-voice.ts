import { setTimeout as wait } from "node:timers/promises";
import { throwIfAborted } from "../../server/core/abort.ts";
import type { Synthesizer } from "../../server/providers/speech/synthesizer.ts";
import { SAMPLES_A_LETTER } from "../../server/testing/spelling-voice.ts";

/** Milliseconds of sound a letter. */
const LETTER_MS = SAMPLES_A_LETTER / 48;

/** Longer texts are spelled at once: they are attacks, not canaries. */
const PACED_LETTERS = 200;

/**
 * A voice that spells like `createSpellingVoice`, as fast as it is heard. So a stall of the gateway
 * shows as a gap between two chunks of a turn.
 */
export function createPacedVoice(): Synthesizer {
  return {
    name: "paced",
    async *synthesize(text, _voice, signal) {
      const begunMs = performance.now();
      for (let at = 0; at < text.length; at++) {
        throwIfAborted(signal);
        const dueMs = begunMs + at * LETTER_MS - performance.now();
        if (dueMs > 1 && text.length <= PACED_LETTERS) await wait(dueMs, undefined, { signal });
        const pcm = new Int16Array(SAMPLES_A_LETTER).fill(text.charCodeAt(at));
        yield { pcm, sampleRateHz: 48_000 };
      }
    },
  };
}
