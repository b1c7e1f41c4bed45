import type { DecodeCommand } from "../analysis/decoding/command.ts";
import type { ModelOptions } from "../analysis/model.ts";
import { type Environment, PROGRAM_VARIABLES, pickVariables } from "./provider-config.ts";
import type { Settings } from "./settings.ts";

/** The settings of the analysis of sound. */
export type AnalysisConfig = {
  readonly model: ModelOptions;
  /** How an upload is answered: with a task, or with its result. */
  readonly uploads: "task" | "sync";
  readonly maxBytes: number;
  readonly maxSeconds: number;
  /** Buckets that may be read; that of the blob store alone if empty. */
  readonly buckets: readonly string[];
  /** For formats that the gateway cannot decode. */
  readonly command?: DecodeCommand;
};

/** Collects the settings of the analysis. `all` is the environment, for the program's own variables. */
export function toAnalysisConfig(env: Settings, all: Environment): AnalysisConfig {
  const argv = env.DECODE_COMMAND;
  return {
    model: {
      device: env.ANALYSIS_DEVICE,
      ...(env.ANALYSIS_MODEL !== undefined && { path: env.ANALYSIS_MODEL }),
    },
    uploads: env.ANALYSIS_UPLOAD,
    maxBytes: env.ANALYSIS_MAX_BYTES,
    maxSeconds: env.ANALYSIS_MAX_SECONDS,
    buckets: env.ANALYSIS_BUCKETS,
    ...(argv && { command: { argv, env: pickVariables(all, PROGRAM_VARIABLES) } }),
  };
}
