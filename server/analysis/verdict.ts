import { SAMPLE_RATE_HZ, WINDOW_SAMPLES } from "./decoding/windows.ts";
import type { ModelDescription } from "./model-file.ts";

/** One window's score. */
export type Prediction = {
  /** `chunk_0` and so on. A window without a score has no prediction; the numbers of the others stay. */
  readonly chunkId: string;
  /** 0 to 1, with four decimals; higher: more likely synthetic. */
  readonly score: number;
  /** Where the window lies in the file. The last one ends where the file does. */
  readonly startTimeSeconds: number;
  readonly endTimeSeconds: number;
};

/** What the model thinks of the whole file. */
type Conclusion = {
  /** By the mean: within the model's margin of its threshold, or without a score, it is `uncertain`. */
  readonly verdict: "genuine" | "spoof" | "uncertain";
  /** Of all scores, with four decimals; null if no window has one. */
  readonly mean: number | null;
  readonly max: number | null;
  /** The model's: from here on a mean speaks for `spoof`. */
  readonly threshold: number;
  /** The model's name. */
  readonly model: string;
  /** What the model cannot do, in its maker's words. */
  readonly limits: string;
};

/** The result of one file. */
export type AnalysisResult = {
  readonly predictions: readonly Prediction[];
  readonly conclusion: Conclusion;
  /** The length of the file's sound. */
  readonly durationSeconds: number;
  /** Why windows, or the whole file, have no score. Absent if all have one. */
  readonly errorMessage?: string;
};

/** A window with its score, or why it has none. */
export type ScoredWindow = {
  readonly samples: number;
  readonly score?: number;
  readonly reason?: "silent" | "failed";
};

/** Sound that is shorter says nothing: 1 s. */
const MIN_SAMPLES = SAMPLE_RATE_HZ;

/** Draws the conclusion from a file's windows, in order. */
export function conclude(
  windows: readonly ScoredWindow[],
  { name, threshold, uncertainMargin, limits }: ModelDescription,
): AnalysisResult {
  const samples = windows.reduce((sum, window) => sum + window.samples, 0);
  const isShort = samples < MIN_SAMPLES;
  const predictions = isShort ? [] : windows.flatMap(toPrediction);
  const scores = predictions.map(({ score }) => score);
  const mean = scores.length === 0 ? null : round(scores.reduce((a, b) => a + b) / scores.length);
  const errorMessage = isShort ? "the file is shorter than 1 s: no score" : missing(windows);
  return {
    predictions,
    conclusion: {
      verdict: verdictOf(mean, threshold, uncertainMargin),
      mean,
      max: scores.length === 0 ? null : Math.max(...scores),
      threshold,
      model: name,
      limits,
    },
    durationSeconds: samples / SAMPLE_RATE_HZ,
    ...(errorMessage !== undefined && { errorMessage }),
  };
}

function verdictOf(mean: number | null, threshold: number, margin: number): Conclusion["verdict"] {
  if (mean === null || Math.abs(mean - threshold) < margin) return "uncertain";
  return mean > threshold ? "spoof" : "genuine";
}

function toPrediction({ samples, score }: ScoredWindow, index: number): readonly Prediction[] {
  if (score === undefined) return [];
  const start = index * WINDOW_SAMPLES;
  return [
    {
      chunkId: `chunk_${index}`,
      score: round(score),
      startTimeSeconds: start / SAMPLE_RATE_HZ,
      endTimeSeconds: (start + samples) / SAMPLE_RATE_HZ,
    },
  ];
}

function missing(windows: readonly ScoredWindow[]): string | undefined {
  const count = (reason: ScoredWindow["reason"]) =>
    windows.filter((window) => window.reason === reason).length;
  const [silent, failed, all] = [count("silent"), count("failed"), windows.length];
  if (silent === all) return "the file is silent: no score";
  const parts = [
    ...(silent > 0 ? [`${silent} of ${all} windows are silent`] : []),
    ...(failed > 0 ? [`the model gave no score for ${failed} of ${all} windows`] : []),
  ];
  return parts.length === 0 ? undefined : parts.join("; ");
}

/** Four decimals. */
function round(score: number): number {
  return Math.round(score * 10_000) / 10_000;
}
