import { InferenceSession, Tensor } from "onnxruntime-node";
import type { ModelInput } from "./model-input.ts";

/** The voice's neural network. */
export type Model = {
  /** Speaks: mono samples around ±0.5. Occupies its thread while it runs, about 40 ms a second. */
  run(input: ModelInput): Promise<Float32Array>;
  release(): Promise<void>;
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

/**
 * Loads the network from an ONNX file's bytes; takes a second. `threads` share each run.
 * Throws what the runtime throws when the bytes are no model.
 */
export async function loadModel(bytes: Uint8Array, threads: number): Promise<Model> {
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // More than the basic rewrites costs more at the start than it saves in a run.
    graphOptimizationLevel: "basic",
    // The threads meet after every node: they may wait for each other awake, but not for long,
    // because the other core may be the gateway's.
    extra: { session: { intra_op: { spin_duration_us: "20" } } },
    logSeverityLevel: 4,
  });
  return {
    async run(input) {
      const { audio } = await session.run(feedsOf(input));
      if (!(audio?.data instanceof Float32Array)) throw new Error("the model gave no audio");
      return audio.data;
    },
    release: () => session.release(),
  };
}

function feedsOf({ phonemes, tones, languages }: ModelInput): Record<string, Tensor> {
  const steps = phonemes.length;
  const ids = (values: BigInt64Array) => new Tensor("int64", values, [1, steps]);
  const zeros = (channels: number) =>
    new Tensor("float32", new Float32Array(channels * steps), [1, channels, steps]);
  const scale = (value: number) => new Tensor("float32", Float32Array.of(value), [1]);
  return {
    x: ids(phonemes),
    x_lengths: new Tensor("int64", BigInt64Array.of(BigInt(steps)), [1]),
    sid: new Tensor("int64", BigInt64Array.of(0n), [1]),
    tone: ids(tones),
    language: ids(languages),
    bert: zeros(bertChannels),
    ja_bert: zeros(secondBertChannels),
    noise_scale: scale(noiseScale),
    noise_scale_w: scale(durationNoiseScale),
    length_scale: scale(1),
  };
}
