import { availableParallelism } from "node:os";
import { openLexicon } from "../english/lexicon.ts";
import { createPronouncer, type Pronunciation } from "../english/pronounce.ts";
import { openCachedModel } from "../worker/model-cache.ts";
import { optimizeModel } from "../worker/model-optimizer.ts";
import type { Feed, ModelSession } from "../worker/model-session.ts";
import { shapeSound } from "../worker/sound.ts";
import type { SpeechEngine } from "../worker/worker-main.ts";

/** A second core makes a clause a third faster; more would gain nothing on so small a model. */
const threads = Math.min(2, availableParallelism());

/** Brings the model's speech to about -20 dBFS RMS. */
const gain = 0.9;

/**
 * Loads the voice and speaks once, so that the first clause is as fast as the others. Its model is
 * kept in `cacheFolder`, ready to be loaded faster.
 */
export async function createDittliEngine(cacheFolder: string): Promise<SpeechEngine> {
  const lexicon = await openLexicon();
  const { symbols, tone_offset: toneOffset, language_id: language } = lexicon.metadata;
  const pronounce = createPronouncer(lexicon);
  const toInput = createModelInput({ symbols, toneOffset, language });
  const model = await loadModel(lexicon.model, { folder: cacheFolder, threads });
  const sampleRateHz = lexicon.metadata.sample_rate;
  const speak = async (text: string, pauseMs: number) => {
    const samples = await model.run(toInput(pronounce(text)));
    return shapeSound(samples, { sampleRateHz, pauseMs, gain });
  };
  await speak("a", 0);
  return { sampleRateHz, speak };
}

/** The voice's neural network. */
export type Model = {
  /** Speaks: mono samples around ±0.5. Occupies its thread while it runs, about 40 ms a second. */
  run(input: ModelInput): Promise<Float32Array>;
};

/**
 * How much the voice varies: its timbre, and the lengths of its phonemes. The first is less than
 * the model's own 0.667, which a recogniser understood a little worse.
 */
const noiseScale = 0.3;
const durationNoiseScale = 0.8;

/** Channels of two inputs, language-model features, that this model is used without. */
const bertChannels = 1024;
const secondBertChannels = 768;

/** One phoneme between blanks. */
const shortest: ModelInput = {
  phonemes: BigInt64Array.of(0n, 1n, 0n),
  tones: BigInt64Array.of(0n, 0n, 0n),
  languages: BigInt64Array.of(0n, 0n, 0n),
};

/**
 * Loads the network from its ONNX file's bytes; takes more than a second, and half of one once it is
 * kept in `folder`. `threads` share each run. Throws what the runtime throws when it is no model.
 */
export async function loadModel(
  original: Uint8Array,
  { folder, threads }: { readonly folder: string; readonly threads: number },
): Promise<Model> {
  const probe = (tried: ModelSession) => tried.run(feedsOf(shortest), "audio");
  const session = await openCachedModel({
    original,
    prepare: optimizeModel,
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

/** One clause as the model takes it: ids of phoneme, tone and language for every step. */
export type ModelInput = {
  readonly phonemes: BigInt64Array;
  readonly tones: BigInt64Array;
  readonly languages: BigInt64Array;
};

/** How a model numbers things. */
export type ModelIds = {
  /** A symbol's id is its place. */
  readonly symbols: readonly string[];
  /** Added to every tone. */
  readonly toneOffset: number;
  readonly language: number;
};

/**
 * Creates the way from phonemes to the model's ids. Every phoneme stands between two blanks (all
 * ids 0), which the model stretches as it needs. A symbol that the model lacks is left out.
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
