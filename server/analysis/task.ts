import type { AnalysisRow } from "../storage/analysis-calls.ts";
import type { AnalysisResult } from "./verdict.ts";

/** The statuses of the contract. */
const taskStatuses = [
  "PENDING",
  "PROCESSING",
  "COMPLETED",
  "ERROR_GRPC_CONNECTION",
  "ERROR_PYTHON_PROCESSING",
  "ERROR_MINIO_DOWNLOAD",
  "ERROR_INTERNAL",
] as const;

/** One of `taskStatuses`. The names are those of the system that the clients knew:
 * `ERROR_GRPC_CONNECTION`: no model; `ERROR_PYTHON_PROCESSING`: the file or its worker failed;
 * `ERROR_MINIO_DOWNLOAD`: the file cannot be had from the object store.
 */
export type TaskStatus = (typeof taskStatuses)[number];

/** A file of a device, its analysis, and how far that is. */
export type AnalysisTask = {
  readonly id: string;
  readonly deviceId: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly filename: string;
  readonly fileSize: number;
  /** What the file is, by its content: `mp3`. */
  readonly format: string;
  readonly durationSeconds: number;
  /** SHA-256 of the file. */
  readonly blobId: string;
  readonly status: TaskStatus;
  /** Why there is no result. */
  readonly message?: string;
  /** Windows: those that are done, and all. */
  readonly progress: { readonly done: number; readonly total: number };
  /** Where the status is COMPLETED. */
  readonly result?: AnalysisResult;
};

/** Whether a task is over. */
export function isOver({ status }: Pick<AnalysisTask, "status">): boolean {
  return status !== "PENDING" && status !== "PROCESSING";
}

/** A task as its row has it. */
export function taskOf(row: AnalysisRow): AnalysisTask {
  const {
    windowsDone,
    windowsTotal,
    message,
    result,
    status,
    runs: _,
    owner: __,
    leaseUntil: ___,
    ...rest
  } = row;
  return {
    ...rest,
    status: taskStatuses.find((each) => each === status) ?? "ERROR_INTERNAL",
    progress: { done: windowsDone, total: windowsTotal },
    ...(message !== null && { message }),
    ...(result !== null && { result: result as AnalysisResult }),
  };
}
