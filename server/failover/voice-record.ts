import { createLoudnessMeter } from "../core/audio/loudness.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import { ordinarySeconds } from "../core/text/pace.ts";
import type { Synthesizer } from "../models/synthesizer.ts";

/** What the gateway knows of a voice by the sentences that it has spoken. */
export type VoiceRecord = {
  /** Seconds of sound for a second at an ordinary pace; undefined before the first whole sentence. */
  pace(language: string): number | undefined;
  /** A text was spoken as a whole in so many seconds. */
  noteSpoken(language: string, text: string, seconds: number): void;
  /** A text came as silence, or far too short for its words. */
  noteUnspoken(language: string): void;
  /**
   * False while the voice is known not to speak the language, whatever it declares. A voice that has
   * spoken the language once is never taken for such: no client's odd texts switch it off for others.
   */
  speaks(language: string): boolean;
  /** The loudness of its sound, measured now and then. */
  readonly loudness: Loudness;
};

/** How loud a voice is, and by how much it is made louder or quieter. */
type Loudness = {
  /** The factor for the voice's next sound. */
  gain(): number;
  /** Whether any sound was measured. */
  isKnown(): boolean;
  /** Whether the next text is to be measured: each one at first, then one in sixteen. */
  isWanted(): boolean;
  /** Measures sound of 48 kHz, and corrects the gain: at once at first, by 0.5 dB in 10 s later. */
  measure(pcm: Int16Array): void;
};

/** Languages that are remembered. Clients name them, so there is a limit. */
const MOST_LANGUAGES = 100;
/** Texts shorter than this at an ordinary pace say little about the pace. */
const SHORTEST_SECONDS = 1;
/** Failures before the first success after which a voice is not asked for a language, and for how long. */
const FAILURES = 2;
const COOLDOWN_MS = 10 * 60_000;

const records = new WeakMap<Synthesizer, VoiceRecord>();

/** The record of a voice. It lives as long as the voice. */
export function recordOf(synthesizer: Synthesizer): VoiceRecord {
  const record = records.get(synthesizer) ?? createVoiceRecord();
  records.set(synthesizer, record);
  return record;
}

type LanguageRecord = {
  pace?: number;
  hasSpoken: boolean;
  failures: number;
  silentUntilMs: number;
};

/** Makes a record of a voice that was never heard. */
function createVoiceRecord(): VoiceRecord {
  const languages = new Map<string, LanguageRecord>();
  const of = (language: string): LanguageRecord => {
    const known = languages.get(language) ?? { hasSpoken: false, failures: 0, silentUntilMs: 0 };
    const [oldest = ""] = languages.keys();
    if (!languages.has(language) && languages.size >= MOST_LANGUAGES) languages.delete(oldest);
    languages.set(language, known);
    return known;
  };
  return {
    pace: (language) => languages.get(language)?.pace,
    noteSpoken(language, text, seconds) {
      const known = of(language);
      known.hasSpoken = true;
      const ordinary = ordinarySeconds(text);
      if (ordinary < SHORTEST_SECONDS) return;
      const pace = seconds / ordinary;
      known.pace = known.pace === undefined ? pace : known.pace + (pace - known.pace) / 4;
    },
    noteUnspoken(language) {
      const known = of(language);
      if (known.hasSpoken) return;
      known.failures += 1;
      if (known.failures >= FAILURES) known.silentUntilMs = performance.now() + COOLDOWN_MS;
    },
    speaks: (language) => (languages.get(language)?.silentUntilMs ?? 0) <= performance.now(),
    loudness: createLoudness(),
  };
}

/** Every voice is brought to this loudness, that of the tier `local`, in LUFS. */
const TARGET_LUFS = -21;
/** A voice this near is left as it is, in LU: no sample is touched. */
const NEAR_ENOUGH = 0.75;
/** What is quieter is no voice, in LUFS. */
const QUIETEST = -50;
const LOUDER_BY_MOST = 12;
const QUIETER_BY_MOST = 20;
/** Sound that is measured before the gain is held, in seconds. */
const LEARNED_AFTER = 3;
/** What the gain changes by then, in dB a sample: 0.5 dB in 10 s. */
const LATER_STEP = 0.5 / (10 * outputRateHz);
const TEXTS_A_MEASUREMENT = 16;

function createLoudness(): Loudness {
  const meter = createLoudnessMeter();
  let decibels = 0;
  let texts = 0;
  const isLearned = () => meter.seconds() >= LEARNED_AFTER;
  const wanted = () => {
    const loudness = meter.loudness() ?? QUIETEST;
    const off = Math.max(-QUIETER_BY_MOST, TARGET_LUFS - loudness);
    const isNear = Math.abs(off) <= NEAR_ENOUGH;
    return isNear || loudness <= QUIETEST ? 0 : Math.min(off, LOUDER_BY_MOST);
  };
  return {
    isKnown: () => meter.loudness() !== undefined,
    gain: () => 10 ** (decibels / 20),
    isWanted() {
      texts += 1;
      return !isLearned() || texts % TEXTS_A_MEASUREMENT === 0;
    },
    measure(pcm) {
      const wasLearned = isLearned();
      meter.push(pcm);
      if (!wasLearned) decibels = wanted();
      else decibels += clamp(wanted() - decibels, LATER_STEP * pcm.length);
    },
  };
}

function clamp(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}
