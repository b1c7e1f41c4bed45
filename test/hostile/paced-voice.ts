import { setTimeout as wait } from "node:timers/promises";
import { throwIfAborted } from "../../server/core/async.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { SAMPLES_A_LETTER } from "../support/spelling-voice.ts";

/** Milliseconds of sound a letter. */
const LETTER_MS = SAMPLES_A_LETTER / 48;

/** Longer texts are attacks, not canaries: they are spelled at once. */
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
        const isPaced = text.length <= PACED_LETTERS;
        const dueMs = begunMs + at * LETTER_MS - performance.now();
        if (isPaced && dueMs > 1) await wait(dueMs, undefined, { signal });
        const pcm = new Int16Array(SAMPLES_A_LETTER).fill(text.charCodeAt(at));
        yield { pcm, sampleRateHz: 48_000 };
      }
    },
  };
}
