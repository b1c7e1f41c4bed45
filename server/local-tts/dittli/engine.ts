import { availableParallelism } from "node:os";
import type { LexiconMetadata } from "../english/lexicon.ts";
import { createPronouncer, type Pronunciation } from "../english/pronounce.ts";
import { openCachedModel } from "../worker/model-cache.ts";
import { optimizeModel } from "../worker/model-optimizer.ts";
import type { Feed, ModelSession } from "../worker/model-session.ts";
import { shapeAudio } from "../worker/sound.ts";
import type { SpeechEngine } from "../worker/worker-main.ts";

/** A second core makes a clause a third faster; more gain nothing with so small a model. */
const threads = Math.min(2, availableParallelism());

/** A language of the tier. */
export type LocalLanguage = "en" | "de";

/** What differs between the languages. */
type LanguageParts = {
  readonly metadata: LexiconMetadata;
  /** The ONNX file. */
  readonly model: Uint8Array;
  /** The phonemes of normalized text, between two boundary symbols. */
  readonly pronounce: (text: string) => Pronunciation;
  /** Brings the voice to about -20 dBFS RMS. */
  readonly gain: number;
};

const openLanguage: Readonly<Record<LocalLanguage, () => Promise<LanguageParts>>> = {
  async en() {
    const { openLexicon } = await import("../english/lexicon.ts");
    const lexicon = await openLexicon();
    return { ...lexicon, pronounce: createPronouncer(lexicon), gain: 0.9 };
  },
  async de() {
    const { openGermanLexicon } = await import("../german/lexicon.ts");
    return { ...(await openGermanLexicon()), gain: 1.9 };
  },
};

/**
 * Loads the voice of a language and runs it once, so that the first clause is as fast as the others.
 * Caches the optimized model in `cacheFolder`.
 */
export async function createDittliEngine(
  cacheFolder: string,
  language: LocalLanguage,
): Promise<SpeechEngine> {
  const { metadata, model: original, pronounce, gain } = await openLanguage[language]();
  const { symbols, tone_offset: toneOffset, language_id: id, sample_rate: sampleRateHz } = metadata;
  const toInput = createModelInput({ symbols, toneOffset, language: id });
  const model = await loadModel(original, cacheFolder);
  const speak = async (text: string, pauseMs: number) => {
    const samples = await model.run(toInput(pronounce(text)));
    return shapeAudio(samples, { sampleRateHz, pauseMs, gain });
  };
  await speak("a", 0);
  return { sampleRateHz, speak };
}

/** The voice's model. */
type Model = {
  /** Returns mono samples around ±0.5. Blocks its thread, about 40 ms for each second of audio. */
  run(input: ModelInput): Promise<Float32Array>;
};

/**
 * Variation of the timbre and of the phonemes' durations. A speech recogniser understood the model's
 * default timbre of 0.667 a little worse.
 */
const noiseScale = 0.3;
const durationNoiseScale = 0.8;

/** Channels of two inputs for language-model features, which are not used. */
const bertChannels = 1024;
const secondBertChannels = 768;

/** One phoneme between blanks. */
const shortest: ModelInput = {
  phonemes: BigInt64Array.of(0n, 1n, 0n),
  tones: BigInt64Array.of(0n, 0n, 0n),
  languages: BigInt64Array.of(0n, 0n, 0n),
};

/**
 * Loads the model from its ONNX file's bytes: in more than a second, or in half of one if it is cached
 * in `folder`. Throws what the runtime throws if it is not a model.
 */
async function loadModel(original: Uint8Array, folder: string): Promise<Model> {
  const probe = (tried: ModelSession) => tried.run(feedsOf(shortest), "audio");
  const session = await openCachedModel({
    original,
    optimize: optimizeModel,
    probe,
    folder,
    threads,
  });
  return { run: (input) => session.run(feedsOf(input), "audio") };
}

function feedsOf({ phonemes, tones, languages }: ModelInput): Record<string, Feed> {
  const steps = phonemes.length;
  const ids = (values: BigInt64Array) => ({ values, shape: [1, steps] });
  const one = (value: number) => ({ values: BigInt64Array.of(BigInt(value)), shape: [1] });
  const scale = (value: number) => ({ values: Float32Array.of(value), shape: [1] });
  const zeros = (channels: number) => ({
    values: new Float32Array(channels * steps),
    shape: [1, channels, steps],
  });
  return {
    x: ids(phonemes),
    x_lengths: one(steps),
    sid: one(0),
    tone: ids(tones),
    language: ids(languages),
    bert: zeros(bertChannels),
    ja_bert: zeros(secondBertChannels),
    noise_scale: scale(noiseScale),
    noise_scale_w: scale(durationNoiseScale),
    length_scale: scale(1),
  };
}

/** The input for one clause: ids of phoneme, tone and language for every step. */
export type ModelInput = {
  readonly phonemes: BigInt64Array;
  readonly tones: BigInt64Array;
  readonly languages: BigInt64Array;
};

/** The ids of a model. */
export type ModelIds = {
  /** A symbol's id is its index. */
  readonly symbols: readonly string[];
  /** Added to every tone. */
  readonly toneOffset: number;
  readonly language: number;
};

/**
 * Creates a function from phonemes to the model's ids. Every phoneme stands between two blanks (id
 * 0). Unknown symbols are left out.
 */
export function createModelInput(ids: ModelIds): (spoken: Pronunciation) => ModelInput {
  const idOf = new Map(ids.symbols.map((symbol, id) => [symbol, BigInt(id)]));
  return ({ symbols, tones }) => {
    const steps = symbols.flatMap((symbol, at) => {
      const phoneme = idOf.get(symbol);
      return phoneme === undefined
        ? []
        : [{ phoneme, tone: BigInt(ids.toneOffset + (tones[at] ?? 0)) }];
    });
    const spread = (values: readonly bigint[]) => betweenBlanks(values);
    return {
      phonemes: spread(steps.map((step) => step.phoneme)),
      tones: spread(steps.map((step) => step.tone)),
      languages: spread(steps.map(() => BigInt(ids.language))),
    };
  };
}

function betweenBlanks(values: readonly bigint[]): BigInt64Array {
  const spread = new BigInt64Array(values.length * 2 + 1);
  values.forEach((value, at) => {
    spread[at * 2 + 1] = value;
  });
  return spread;
}
