import { stat } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { AnalysisError } from "./errors.ts";
import { type ModelDescription, type ModelFile, readModelFile } from "./model-file.ts";
import { createScorers, type Scorers } from "./scorers.ts";
import type { Device, SessionOptions } from "./scoring/session.ts";

/** The model that scores. */
export type Model = {
  /**
   * Loads a model that a setting names, to try it. Throws `InvalidModel` if it has another shape or a wrong
   * description. One that is missing is no error yet: each call of `get` says what to set.
   */
  start(): Promise<void>;
  /** The model, loaded. Throws an `AnalysisError` (`unavailable`) that says what to set. */
  get(): Promise<{ readonly description: ModelDescription; readonly scorers: Scorers }>;
  status(): ModelStatus;
  close(): Promise<void>;
};

/** What `/status` tells of the model. */
export type ModelStatus = {
  /** `idle`: not loaded, because nothing was analyzed yet. */
  readonly state: "ok" | "idle" | "missing";
  readonly name?: string;
  readonly license?: string;
  readonly limits?: string;
  readonly threshold?: number;
  /** Where it runs, once it is loaded. */
  readonly device?: Device;
  /** Processes that run, and runs that wait for one. */
  readonly workers?: { readonly running: number; readonly most: number; readonly waiting: number };
  /** Why there is none. */
  readonly lastError?: string;
};

/** Which model. */
export type ModelOptions = {
  /** An ONNX file; the one that ships with the gateway if absent. */
  readonly path?: string;
  readonly device: SessionOptions["device"];
  /** Processes; as many as there are cores, and room for the model, if absent. */
  readonly workers?: number;
};

const BASELINE = fileURLToPath(new URL("./baseline/model.onnx", import.meta.url));
const UNSET = "no model: set ANALYSIS_MODEL to an ONNX file with a JSON beside it";
/** What a process needs beside the model, and how much of the model it has in memory. */
const PROCESS_BYTES = 128 * 1024 * 1024;
const MODEL_COPIES = 3;

/** Makes the holder of the model. Nothing runs before `start` or `get`. */
export function createModel({ path, device, workers }: ModelOptions): Model {
  let file: ModelFile | undefined;
  let scorers: Scorers | undefined;
  let lastError: string | undefined;
  const read = async (): Promise<ModelFile> => {
    if (path !== undefined) return await readModelFile(path, "ANALYSIS_MODEL");
    return await readModelFile(BASELINE, UNSET).catch((error: Error) => {
      // That it is missing from the package is no fault of a setting.
      if (error instanceof AnalysisError)
        throw new AnalysisError("unavailable", UNSET, error.detail);
      throw error;
    });
  };
  const load = async () => {
    file ??= await read();
    scorers ??= createScorers({ model: file, device, size: workers ?? (await sizeFor(file.path)) });
    await scorers.open();
    lastError = undefined;
    return { description: file.description, scorers };
  };
  const get = () =>
    load().catch((error: Error) => {
      lastError = error.message;
      throw error;
    });
  return {
    async start() {
      if (path === undefined) return;
      await get().catch((error) => {
        if (!(error instanceof AnalysisError)) throw error;
      });
    },
    get,
    status() {
      const pool = scorers?.status();
      return {
        state: lastError !== undefined ? "missing" : pool?.device === undefined ? "idle" : "ok",
        ...(file && describe(file.description)),
        ...(pool?.device !== undefined && { device: pool.device }),
        ...(pool &&
          scorers && {
            workers: { running: pool.running, most: scorers.size, waiting: pool.waiting },
          }),
        ...(lastError !== undefined && { lastError }),
      };
    },
    close: async () => await scorers?.close(),
  };
}

function describe({ name, license, limits, threshold }: ModelDescription) {
  return { name, license, limits, threshold };
}

/** One process a core, if half of the memory holds the model so often. */
async function sizeFor(path: string): Promise<number> {
  const { size } = await stat(path);
  const fitting = Math.floor(totalmem() / 2 / (size * MODEL_COPIES + PROCESS_BYTES));
  return Math.max(1, Math.min(availableParallelism(), fitting));
}
