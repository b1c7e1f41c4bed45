import { InferenceSession, listSupportedBackends, Tensor } from "onnxruntime-node";
import type { ModelDescription } from "../model-file.ts";

/** Where a model runs. */
export type Device = "cpu" | "cuda";

/** A loaded model. */
export type ScoringSession = {
  readonly device: Device;
  /** The most windows of one run; 1 if the model's batch is fixed. */
  readonly maxWindows: number;
  /**
   * The probability that each window is synthetic, 0 to 1; not a number where the model gives none. Blocks
   * its thread. Throws what the runtime throws.
   */
  score(windows: readonly Int16Array[]): Promise<readonly number[]>;
};

/** How a model is loaded. */
export type SessionOptions = {
  readonly path: string;
  readonly description: ModelDescription;
  /** `auto`: CUDA where the runtime has it and the machine can. */
  readonly device: Device | "auto";
};

/** The model takes or gives another shape than the gateway, or its device is not there. */
export class UnfitModel extends Error {
  override readonly name = "UnfitModel";
}

/** More take hardly less time each, and more memory. */
const MAX_WINDOWS = 4;

/** Loads a model and tries it. Throws `UnfitModel`, or what the runtime throws. */
export async function openScoringSession(options: SessionOptions): Promise<ScoringSession> {
  const { description } = options;
  const { session, device } = await load(options);
  const batch = checkInput(session, description);
  const mask = maskOf(session, description);
  const score = async (windows: readonly Int16Array[]) => {
    const size = description.windowSamples;
    const shape = [windows.length, size];
    const feeds: Record<string, Tensor> = {
      [description.input.name]: new Tensor("float32", toFloats(windows, size), shape),
    };
    if (mask) feeds[mask.name] = mask.make(windows, shape);
    const outputs = await session.run(feeds, [description.output.name]);
    return toScores(outputs[description.output.name], windows.length, description);
  };
  await score(Array.from({ length: batch }, () => new Int16Array(description.windowSamples)));
  return { device, maxWindows: batch, score };
}

async function load({ path, device }: SessionOptions) {
  const mayHaveCuda = listSupportedBackends().some(({ name }) => name === "cuda");
  const open = (name: Device) =>
    InferenceSession.create(path, {
      executionProviders: name === "cuda" ? ["cuda", "cpu"] : ["cpu"],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
    });
  // The runtime knows of CUDA on every such system; only a trial tells whether it is there.
  if (device !== "cpu" && mayHaveCuda) {
    const session = await open("cuda").catch(() => undefined);
    if (session) return { session, device: "cuda" as const };
  }
  if (device === "cuda") {
    throw new UnfitModel("ANALYSIS_DEVICE is cuda, and CUDA cannot be had on this machine");
  }
  return { session: await open("cpu"), device: "cpu" as const };
}

type Metadata = { readonly type: string; readonly shape: readonly (number | string)[] };

function describe({ type, shape }: Metadata): string {
  return `${type} [${shape.map((size) => (typeof size === "number" ? size : size || "N")).join(", ")}]`;
}

/** Returns the number of windows of one run. */
function checkInput(session: InferenceSession, { input, windowSamples }: ModelDescription): number {
  const found = session.inputMetadata.find(({ name }) => name === input.name);
  if (!found?.isTensor) {
    const names = session.inputNames.join(", ");
    throw new UnfitModel(`the model has no input "${input.name}"; it has: ${names}`);
  }
  const { type, shape } = found;
  const [batch, samples] = shape;
  const isFitting =
    type === "float32" &&
    shape.length === 2 &&
    (typeof samples === "string" || samples === windowSamples);
  if (isFitting && (typeof batch === "string" || batch === 1)) {
    return typeof batch === "string" ? MAX_WINDOWS : 1;
  }
  throw new UnfitModel(
    `the model's input "${input.name}" takes ${describe({ type, shape })}; the gateway gives float32 [N, ${windowSamples}]`,
  );
}

/** Makes a mask: 1 for each sample of the file, 0 for what fills a window up. */
function maskOf(session: InferenceSession, { mask, windowSamples }: ModelDescription) {
  if (mask === undefined) return undefined;
  const found = session.inputMetadata.find(({ name }) => name === mask);
  const makers = {
    int64: (ones: Uint8Array, shape: number[]) =>
      new Tensor("int64", BigInt64Array.from(ones, BigInt), shape),
    int32: (ones: Uint8Array, shape: number[]) => new Tensor("int32", Int32Array.from(ones), shape),
    float32: (ones: Uint8Array, shape: number[]) =>
      new Tensor("float32", Float32Array.from(ones), shape),
    bool: (ones: Uint8Array, shape: number[]) => new Tensor("bool", ones, shape),
  };
  const type = found?.isTensor ? found.type : undefined;
  if (!found?.isTensor || !(found.type in makers)) {
    const has = found?.isTensor ? describe(found) : "no such input";
    throw new UnfitModel(
      `the model's mask "${mask}": ${has}; the gateway gives int64, int32, float32 or bool [N, ${windowSamples}]`,
    );
  }
  const make = makers[type as keyof typeof makers];
  return {
    name: mask,
    make(windows: readonly Int16Array[], shape: number[]) {
      const ones = new Uint8Array(windows.length * windowSamples);
      for (const [index, { length }] of windows.entries()) {
        ones.fill(1, index * windowSamples, index * windowSamples + length);
      }
      return make(ones, shape);
    },
  };
}

/** Each window at full length: what it lacks is silence. */
function toFloats(windows: readonly Int16Array[], size: number): Float32Array {
  const floats = new Float32Array(windows.length * size);
  for (const [index, window] of windows.entries()) {
    const begin = index * size;
    for (let at = 0; at < window.length; at++) floats[begin + at] = (window[at] as number) / 32_768;
  }
  return floats;
}

function toScores(
  output: Tensor | undefined,
  count: number,
  { output: { name, kind, spoofIndex } }: ModelDescription,
): readonly number[] {
  const width = kind === "two-class-logits" ? 2 : 1;
  const data = output?.data;
  if (!(data instanceof Float32Array) || data.length !== count * width) {
    const has = output ? describe({ type: output.type, shape: output.dims }) : "nothing";
    const expected = width === 1 ? `[${count}] or [${count}, 1]` : `[${count}, 2]`;
    throw new UnfitModel(
      `the model's output "${name}" gives ${has}; the gateway reads float32 ${expected} as ${kind}`,
    );
  }
  return Array.from({ length: count }, (_, index) => {
    if (kind === "probability") return probability(data[index]);
    if (kind === "logit") return sigmoid(data[index]);
    const [spoof, genuine] = [data[index * 2 + spoofIndex], data[index * 2 + 1 - spoofIndex]];
    return sigmoid((spoof ?? Number.NaN) - (genuine ?? Number.NaN));
  });
}

/** Infinity is an overflow within the model, and no certainty. */
function sigmoid(logit = Number.NaN): number {
  return Number.isFinite(logit) ? 1 / (1 + Math.exp(-logit)) : Number.NaN;
}

function probability(value = Number.NaN): number {
  return value >= 0 && value <= 1 ? value : Number.NaN;
}
