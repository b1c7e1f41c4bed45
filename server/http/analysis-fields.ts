import type { AnalysisTask } from "../analysis/task.ts";
import type { AnalysisResult, Prediction } from "../analysis/verdict.ts";

/** Where a file stands in the object store. */
type Place = { readonly bucket: string; readonly key: string };

/** A task as the routes answer it. docs/http.md tells what each field means. */
export function taskFields(task: AnalysisTask, place: Place) {
  const { id, status, progress, result } = task;
  return {
    task_id: id,
    status,
    ...(task.message !== undefined && { message: task.message }),
    filename: task.filename,
    file_size: task.fileSize,
    format: task.format,
    duration_seconds: task.durationSeconds,
    s3_bucket: place.bucket,
    s3_key: place.key,
    created_at: new Date(task.createdAt).toISOString(),
    updated_at: new Date(task.updatedAt).toISOString(),
    progress,
    ...(result && resultFields(result)),
  };
}

/** What came of a task, as the routes answer it. */
export function resultFields({ predictions, conclusion, errorMessage }: AnalysisResult) {
  return {
    predictions: Object.fromEntries(predictions.map(({ chunkId, score }) => [chunkId, score])),
    analysis_results: predictions.map(predictionFields),
    result: conclusion,
    ...(errorMessage !== undefined && { error_message: errorMessage }),
  };
}

function predictionFields({ chunkId, score, startTimeSeconds, endTimeSeconds }: Prediction) {
  return {
    chunk_id: chunkId,
    score,
    start_time_seconds: startTimeSeconds,
    end_time_seconds: endTimeSeconds,
  };
}
