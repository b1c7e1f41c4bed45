import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { SAMPLE_RATE_HZ, WINDOW_SAMPLES } from "./decoding/windows.ts";
import { AnalysisError } from "./errors.ts";

/** The most samples of a window that a model may take: 10 s. What is beyond a window is silence. */
const MAX_WINDOW_SAMPLES = 160_000;

/** The JSON beside a model's ONNX file. docs/analysis.md tells what each field means. */
const schema = z
  .strictObject({
    name: z.string().min(1).max(200),
    license: z.string().min(1).max(200),
    input: z.strictObject({
      name: z.string().min(1),
      shape: z.array(z.union([z.int(), z.string()])).optional(),
    }),
    mask: z.string().min(1).optional(),
    output: z.strictObject({
      name: z.string().min(1),
      kind: z.enum(["logit", "probability", "two-class-logits"]),
      spoofIndex: z.union([z.literal(0), z.literal(1)]).default(1),
    }),
    windowSamples: z.int().min(WINDOW_SAMPLES).max(MAX_WINDOW_SAMPLES),
    sampleRateHz: z.literal(SAMPLE_RATE_HZ),
    threshold: z.number().min(0).max(1),
    uncertainMargin: z.number().min(0).max(0.5).default(0.1),
    limits: z.string().min(1).max(2000),
  })
  .readonly();

/** What is known of a model. */
export type ModelDescription = z.infer<typeof schema>;

/** A model that can be loaded. */
export type ModelFile = { readonly path: string; readonly description: ModelDescription };

/** The model's files are wrong: a setting, or a file, must change before the gateway can start. */
export class InvalidModel extends Error {
  override readonly name = "InvalidModel";
}

/**
 * Reads a model's description. Throws an `AnalysisError` (`unavailable`) if one of its files is missing, and
 * `InvalidModel` if the JSON breaks a rule. `setting` names the model in errors.
 */
export async function readModelFile(path: string, setting: string): Promise<ModelFile> {
  const jsonPath = `${path.replace(/\.onnx$/, "")}.json`;
  const missing = (what: string) => (error: NodeJS.ErrnoException) => {
    const reason = error.code === "ENOENT" ? "is missing" : "cannot be read";
    throw new AnalysisError("unavailable", `${setting}: ${what} ${reason}`, error.message);
  };
  await stat(path).catch(missing("the ONNX file"));
  const text = await readFile(jsonPath, "utf8").catch(missing("the JSON beside the ONNX file"));
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return { path, description: parsed.data };
  throw new InvalidModel(
    `${setting}: the JSON beside it is wrong:\n${z.prettifyError(parsed.error)}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
