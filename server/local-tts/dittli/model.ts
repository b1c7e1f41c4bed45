import { openCachedModel } from "../worker/model-cache.ts";
import { optimizeModel } from "../worker/model-optimizer.ts";
import type { Feed, ModelSession } from "../worker/model-session.ts";
import type { ModelInput } from "./model-input.ts";

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
