import { z } from "zod";
import { argv, count, list } from "./setting-types.ts";

const MEBIBYTE = 1024 * 1024;
const bucket = z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/i, "must be a bucket's name");

/** Settings of the analysis of sound, as `settings` has them. */
export const analysisSettings = {
  ANALYSIS_MODEL: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Model that tells whether a voice is real: the path of an ONNX file with a JSON beside it, as docs/analysis.md describes. Unset: the small one that ships with the gateway.",
    ),
  ANALYSIS_DEVICE: z
    .enum(["auto", "cpu", "cuda"])
    .default("auto")
    .describe(
      "Where that model runs: `cpu`, `cuda`, or `auto` for CUDA where the runtime has it. `/status` says which it is.",
    ),
  ANALYSIS_MAX_BYTES: count(1024, 256 * MEBIBYTE)
    .default(10 * MEBIBYTE)
    .describe("Largest file that is analyzed, in bytes."),
  ANALYSIS_MAX_SECONDS: count(1, 24 * 3600)
    .default(900)
    .describe("Longest sound of a file that is analyzed, in seconds."),
  ANALYSIS_UPLOAD: z
    .enum(["task", "sync"])
    .default("task")
    .describe(
      "How an upload is answered. `task`: 202 at once, with a task to follow. `sync`: 201 with the scores, in the shape of an older front end, whose users register and log in by themselves: its routes then take their tokens, not those of `AUTH_MODE`.",
    ),
  ANALYSIS_BUCKETS: list
    .pipe(z.array(bucket))
    .default([])
    .describe(
      "Buckets whose objects `AnalyzeAudio` may read. A token needs the scope `analysis-all` for objects other than its device's own uploads. Unset: the bucket of `BLOB_STORE`; of a folder, its name.",
    ),
  DECODE_COMMAND: argv
    .refine(
      (args) => args.some((arg) => arg.includes("{input}")),
      "must have {input} in an argument",
    )
    .optional()
    .describe(
      'Program that decodes M4A and other files which the gateway cannot, as a JSON array; `{input}` stands for the file, and it writes WAV to its standard output: `["ffmpeg","-v","error","-protocol_whitelist","file,pipe","-i","{input}","-vn","-f","wav","-"]`. Unset: such files are refused.',
    ),
};
