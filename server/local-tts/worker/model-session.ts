import { env, InferenceSession, Tensor } from "onnxruntime-node";

/** The runtime's version. Another version may not read its optimized models. */
export const runtimeVersion = env.versions.node ?? "";

/** One input of a model: values and shape. Integers have 64 bits. */
export type Feed = {
  readonly values: BigInt64Array | Float32Array;
  readonly shape: readonly number[];
};

/** A loaded model. */
export type ModelSession = {
  /**
   * Runs the model on named inputs, and returns the named output. Blocks its thread. Throws what the
   * runtime throws, and if the output is missing or contains NaN or infinity.
   */
  run(inputs: { readonly [name: string]: Feed }, output: string): Promise<Float32Array>;
  release(): Promise<void>;
};

/** Options of a model session. */
export type ModelSessionOptions = {
  /** Threads for each run. */
  readonly threads: number;
  /** Graph optimization at load time. More costs more then, and less in a run. */
  readonly optimization: "none" | "basic" | "all";
  /** Path to write the optimized model to. */
  readonly writeTo?: string;
};

/**
 * Loads a model from an ONNX file's bytes. Throws what the runtime throws if they are not a model, or
 * `writeTo` cannot be written.
 */
export async function openModelSession(
  bytes: Uint8Array,
  { threads, optimization, writeTo }: ModelSessionOptions,
): Promise<ModelSession> {
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: optimization === "none" ? "disabled" : optimization,
    ...(writeTo !== undefined && { optimizedModelFilePath: writeTo }),
    // The threads synchronize after every node. They may spin, but briefly: the other core may be the
    // gateway's.
    extra: { session: { intra_op: { spin_duration_us: "20" } } },
    logSeverityLevel: 4,
  });
  return {
    async run(inputs, output) {
      const feeds = Object.entries(inputs).map(([name, feed]) => [name, toTensor(feed)]);
      const outputs = await session.run(Object.fromEntries(feeds), [output]);
      const data = outputs[output]?.data;
      if (!(data instanceof Float32Array)) throw new Error(`the model returned no ${output}`);
      // Half-precision arithmetic overflowed. Silence instead would not be speech either.
      if (!data.every(Number.isFinite)) throw new Error(`the model's ${output} is not a number`);
      return data;
    },
    release: () => session.release(),
  };
}

function toTensor({ values, shape }: Feed): Tensor {
  return values instanceof BigInt64Array
    ? new Tensor("int64", values, shape)
    : new Tensor("float32", values, shape);
}
