import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { field } from "./protobuf.ts";

// ONNX models of the shapes that people export, written by hand: what is louder counts as synthetic.

const FLOAT = 1;
const INT64 = 7;
const INT = 2;
const INTS = 7;

type Size = number | string;

const shapeOf = (sizes: readonly Size[]) =>
  sizes.map((size) => field(1, [typeof size === "number" ? field(1, size) : field(2, size)]));
const value = (name: string, type: number, sizes: readonly Size[]) => [
  field(1, name),
  field(2, [field(1, [field(1, type), field(2, shapeOf(sizes))])]),
];
const node = (op: string, from: readonly string[], to: string, ...attributes: Buffer[]) =>
  field(1, [
    ...from.map((name) => field(1, name)),
    field(2, to),
    field(4, op),
    ...attributes.map((attribute) => field(5, attribute)),
  ]);
const int = (name: string, number: number) =>
  Buffer.concat([field(1, name), field(3, number), field(20, INT)]);
const ints = (name: string, ...numbers: readonly number[]) =>
  Buffer.concat([field(1, name), ...numbers.map((number) => field(8, number)), field(20, INTS)]);
const constant = (name: string, number: number) =>
  field(5, [
    field(2, FLOAT),
    field(8, name),
    field(9, Buffer.from(Float32Array.of(number).buffer)),
  ]);

/** What a model looks like. */
export type ModelShape = {
  /** `[batch, samples]`; a name for a size that is open. */
  readonly input?: readonly [Size, Size];
  readonly kind: "logit" | "probability" | "two-class-logits";
  readonly mask?: boolean;
  /** The logit is `loudness * gain + offset`, where loudness is the mean of the absolute samples. */
  readonly gain?: number;
  readonly offset?: number;
};

/** The bytes of a model. */
export function onnxModel(shape: ModelShape): Buffer {
  const { input = ["batch", 64_000], kind, mask = false, gain = 20, offset = -2 } = shape;
  const mean = (from: string, to: string) =>
    node("ReduceMean", [from], to, ints("axes", 1), int("keepdims", 1));
  const loudness = mask
    ? [
        node("Cast", ["mask"], "ones", int("to", FLOAT)),
        node("Mul", ["absolute", "ones"], "masked"),
        mean("masked", "sum"),
        mean("ones", "share"),
        node("Div", ["sum", "share"], "loudness"),
      ]
    : [mean("absolute", "loudness")];
  const ends = {
    logit: [node("Identity", ["logit"], "out")],
    probability: [node("Sigmoid", ["logit"], "out")],
    "two-class-logits": [
      node("Neg", ["logit"], "negative"),
      node("Concat", ["negative", "logit"], "out", int("axis", 1)),
    ],
  };
  return Buffer.concat([
    field(1, 8),
    field(7, [
      node("Abs", ["wave"], "absolute"),
      ...loudness,
      node("Mul", ["loudness", "gain"], "scaled"),
      node("Add", ["scaled", "offset"], "logit"),
      ...ends[kind],
      field(2, "graph"),
      constant("gain", gain),
      constant("offset", offset),
      field(11, value("wave", FLOAT, input)),
      ...(mask ? [field(11, value("mask", INT64, input))] : []),
      field(12, value("out", FLOAT, [input[0], kind === "two-class-logits" ? 2 : 1])),
    ]),
    field(8, [field(2, 17)]),
  ]);
}

/** What the JSON beside a model says, where it is not as usual. */
export type DescriptionChanges = Readonly<Record<string, unknown>>;

/** Writes a model and its JSON into a folder; answers the path for `ANALYSIS_MODEL`. */
export function writeModel(
  folder: string,
  shape: ModelShape,
  changes: DescriptionChanges = {},
): string {
  const path = join(folder, "model.onnx");
  writeFileSync(path, onnxModel(shape));
  const description = {
    name: "loudness",
    license: "CC0-1.0",
    input: { name: "wave", shape: [1, 64_000] },
    ...(shape.mask && { mask: "mask" }),
    output: { name: "out", kind: shape.kind },
    windowSamples: 64_000,
    sampleRateHz: 16_000,
    threshold: 0.5,
    uncertainMargin: 0.1,
    limits: "A model for tests: it hears how loud it is, and nothing else.",
    ...changes,
  };
  writeFileSync(join(folder, "model.json"), JSON.stringify(description));
  return path;
}
