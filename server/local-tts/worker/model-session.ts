import { env, InferenceSession, Tensor } from "onnxruntime-node";

/** The runtime's version: what one has rewritten, another may not read. */
export const runtimeVersion = env.versions.node ?? "";

/** One input of a model: its numbers and their shape. Whole numbers are 64 bits wide. */
export type Feed = {
  readonly values: BigInt64Array | Float32Array;
  readonly shape: readonly number[];
};

/** A neural network that was loaded. */
export type ModelSession = {
  /**
   * Runs it on inputs by name, and gives its output of that name. Occupies its thread. Throws what
   * the runtime throws, and when there is no such output or it is not all numbers.
   */
  run(inputs: { readonly [name: string]: Feed }, output: string): Promise<Float32Array>;
  release(): Promise<void>;
};

/** How a network is loaded and run. */
export type ModelSessionOptions = {
  /** Threads that share each run. */
  readonly threads: number;
  /** How much of the graph is rewritten while it is loaded: more costs more then, and less later. */
  readonly rewrite: "none" | "basic" | "all";
  /** A file that the rewritten network is written to. */
  readonly keepIn?: string;
};

/**
 * Loads a network from an ONNX file's bytes. Throws what the runtime does if they are no model, or if
 * the network cannot be written where it is to be kept.
 */
export async function openModelSession(
  bytes: Uint8Array,
  { threads, rewrite, keepIn }: ModelSessionOptions,
): Promise<ModelSession> {
  const session = await InferenceSession.create(bytes, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: rewrite === "none" ? "disabled" : rewrite,
    ...(keepIn !== undefined && { optimizedModelFilePath: keepIn }),
    // The threads meet after every node: they may wait for each other awake, but not for long,
    // because the other core may be the gateway's.
    extra: { session: { intra_op: { spin_duration_us: "20" } } },
    logSeverityLevel: 4,
  });
  return {
    async run(inputs, output) {
      const feeds = Object.entries(inputs).map(([name, feed]) => [name, toTensor(feed)]);
      const outputs = await session.run(Object.fromEntries(feeds), [output]);
      const data = outputs[output]?.data;
      if (!(data instanceof Float32Array)) throw new Error(`the model gave no ${output}`);
      // Half-precision arithmetic that overflows. Silence in its place would be no speech either.
      if (!data.every(Number.isFinite)) throw new Error(`the model's ${output} is no number`);
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
