import { ProviderError } from "../core/errors.ts";
import { ordinarySeconds } from "../core/text/pace.ts";
import type { SpeechPart } from "../models/synthesizer.ts";

/**
 * Checks that a voice speaks: silence is held back until sound follows it. Synchronous: parts go in, and
 * those that may be heard come out.
 */
export type SoundCheck = {
  /** Throws a `language` error after 3 s of nothing but silence. */
  push(part: SpeechPart): readonly SpeechPart[];
  /**
   * The voice has ended; returns the silence at the end. Throws `language` if nothing was said, or if
   * the sound is far too short for the text; `unsupported` if it is too short for this voice. That is
   * an estimate, so it counts against no tier: a client's odd text must not open a circuit for all.
   */
  end(): readonly SpeechPart[];
  /** The voice has failed; returns the pause behind what was heard. */
  fail(): readonly SpeechPart[];
  /** True if what came cannot have been the text, so that none of its words was heard. */
  isUnspoken(): boolean;
  /** Seconds of sound so far, held silence included. */
  seconds(): number;
};

/** No louder than the noise of a converter: -80 dBFS. */
const SILENCE = 3;
/** No pause within a sentence is longer. */
const LONGEST_SILENCE_SECONDS = 3;
/** A longer pause than this is not kept before the next voice. */
const LONGEST_PAUSE_SECONDS = 0.5;

/** Texts shorter than this at an ordinary pace may be said in any time. */
const SHORTEST_SECONDS = 1;
/** Less than this share of the ordinary time is no speech; of a syllable's length not even that. */
const LEAST_SHARE = 0.04;
const LEAST_SHARE_OF_SYLLABLE = 0.1;
const SYLLABLE_SECONDS = 0.15;
/** Less than this share of the time that the same voice takes for such a text is no whole text. */
const LEAST_SHARE_OF_OWN = 0.55;

/** A text with fewer letters is no plain sentence: how long it takes is not known. */
const LEAST_SHARE_OF_LETTERS = 0.7;

/** Makes a check of one text. `pace` is the voice's own, if it is known. */
export function createSoundCheck(
  provider: string,
  text: string,
  pace: number | undefined,
): SoundCheck {
  // Digits and marks may be said in many ways, or not at all.
  const ordinary = ordinarySeconds(text);
  const expected = ordinarySeconds(text.replaceAll(/[^\p{L}\p{M}]/gu, ""));
  const isWords = expected > ordinary * LEAST_SHARE_OF_LETTERS;
  let held: SpeechPart[] = [];
  let heldSeconds = 0;
  let seconds = 0;
  let isUnspoken = false;

  const release = () => {
    const released = held;
    held = [];
    heldSeconds = 0;
    return released;
  };
  const refuse = (reason: string) => {
    isUnspoken = true;
    throw new ProviderError(provider, "language", reason);
  };
  return {
    push(part) {
      const length = part.pcm.length / part.sampleRateHz;
      seconds += length;
      held.push(part);
      if (!isSilent(part.pcm)) return release();
      heldSeconds += length;
      if (heldSeconds <= LONGEST_SILENCE_SECONDS) return [];
      if (heldSeconds === seconds) refuse("answered with silence");
      throw new ProviderError(provider, "protocol", "fell silent within the text");
    },
    end() {
      if (seconds > 0 && heldSeconds === seconds) refuse("answered with silence");
      const isLong = expected >= SHORTEST_SECONDS && seconds > 0;
      const least = seconds <= SYLLABLE_SECONDS ? LEAST_SHARE_OF_SYLLABLE : LEAST_SHARE;
      if (isLong && seconds < expected * least) refuse("the sound is too short for the text");
      const own = isLong && isWords && pace !== undefined ? ordinary * pace : 0;
      if (seconds < own * LEAST_SHARE_OF_OWN) {
        throw new ProviderError(provider, "unsupported", "ended before the text did");
      }
      return release();
    },
    fail: () => (heldSeconds < seconds && heldSeconds < LONGEST_PAUSE_SECONDS ? release() : []),
    isUnspoken: () => isUnspoken,
    seconds: () => seconds,
  };
}

function isSilent(pcm: Int16Array): boolean {
  // From the end: a part that carries sound is decided at once.
  for (let at = pcm.length - 1; at >= 0; at--) {
    if (Math.abs(pcm[at] as number) > SILENCE) return false;
  }
  return true;
}

/** Below this no word begins: -58 dBFS. */
const QUIET = 40;
/** A word may ring on for so long behind its end. */
const TAIL_SECONDS = 0.06;
/** A pause is at least this long: shorter ones are in every wave. */
const PAUSE_SECONDS = 0.003;

/** The length of the pause at the beginning, with the end of the word before it; 0 without a pause. */
export function pauseSamples(pcm: Int16Array, sampleRateHz: number): number {
  let quietFrom = 0;
  for (let at = 0; at < pcm.length; at++) {
    if (Math.abs(pcm[at] as number) <= QUIET) continue;
    if (at - quietFrom >= PAUSE_SECONDS * sampleRateHz) return at;
    if (at > TAIL_SECONDS * sampleRateHz) return 0;
    quietFrom = at + 1;
  }
  return pcm.length - quietFrom >= PAUSE_SECONDS * sampleRateHz ? pcm.length : 0;
}
