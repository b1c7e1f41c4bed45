import { AnalysisError } from "../errors.ts";
import { serveCalls } from "../serve-calls.ts";
import type { Device, ScoringSession, SessionOptions } from "./session.ts";

// A process that has the model and scores windows. Its argument is `SessionOptions`.

/** What the process is asked: to load the model, or to score windows. */
export type ScoringRequest =
  | { readonly type: "load" }
  | { readonly type: "score"; readonly windows: readonly Int16Array[] };

/** The model is loaded, or it never will be: a setting must change, and the message says which, or names both shapes. */
export type LoadAnswer =
  | { readonly device: Device; readonly maxWindows: number }
  | { readonly unfit: string };

/** As `ScoringSession.score` returns them. */
export type ScoreAnswer = { readonly scores: readonly number[] };

const options = JSON.parse(process.argv[2] ?? "") as SessionOptions;
let session: ScoringSession | undefined;

serveCalls(async (request: ScoringRequest): Promise<LoadAnswer | ScoreAnswer> => {
  if (request.type === "load") return await load();
  if (!session) throw new AnalysisError("unavailable", "the model is not loaded");
  return { scores: await session.score(request.windows) };
});

async function load(): Promise<LoadAnswer> {
  // Imported here, so that a runtime that is missing is reported.
  const { openScoringSession, UnfitModel } = await import("./session.ts");
  try {
    session = await openScoringSession(options);
    return { device: session.device, maxWindows: session.maxWindows };
  } catch (error) {
    if (error instanceof UnfitModel) return { unfit: error.message };
    const message = "the model cannot be loaded";
    throw new AnalysisError("unavailable", message, String(error));
  }
}
