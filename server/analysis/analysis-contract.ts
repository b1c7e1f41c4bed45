import type { ModelStatus } from "./model.ts";
import type { TaskQueue } from "./queue.ts";
import type { AnalysisTask } from "./task.ts";
import type { AnalysisResult } from "./verdict.ts";

/** A file that a device sends. */
export type UploadedFile = {
  readonly deviceId: string;
  /** As the client calls it; at most 255 characters. It decides nothing. */
  readonly filename: string;
  readonly bytes: Uint8Array;
};

/**
 * Tells whether voices are real: tasks of files that devices send, and files that are in the store already.
 * A device sees its own tasks alone. Everything throws an `AnalysisError`, a `BlobError` or a `StorageError`
 * if it cannot be had now, and the signal's reason.
 */
export type Analysis = {
  /**
   * Checks a file, by decoding all of it, and stores it with its task; both are durable then. Throws an
   * `AnalysisError` if the file cannot be analyzed, and then keeps nothing; `LimitExceeded` if the device has
   * too many tasks that are not done.
   */
  upload(file: UploadedFile, signal: AbortSignal): Promise<AnalysisTask>;
  /** A task of the device's own. */
  find(deviceId: string, id: string, signal: AbortSignal): Promise<AnalysisTask | undefined>;
  /** A task each time that it has come further, until it is over. Ends at once if there is none. */
  watch(deviceId: string, id: string, signal: AbortSignal): AsyncGenerator<AnalysisTask>;
  /** The device's tasks, the latest first, those behind the task `before` if it is given. */
  list(deviceId: string, page: Page, signal: AbortSignal): Promise<readonly AnalysisTask[]>;
  /** The file of a task of the device's own. */
  file(deviceId: string, id: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Cancels a task of the device's own, or all without `id`, and deletes results and files. Returns their number. */
  remove(deviceId: string, id: string | undefined, signal: AbortSignal): Promise<number>;
  /** Analyzes a file that is not stored here. Throws `LimitExceeded` if too many wait. */
  analyze(bytes: Uint8Array, signal: AbortSignal): Promise<AnalysisResult>;
  /** Whether the device has uploaded the file of this id. */
  owns(deviceId: string, blobId: string, signal: AbortSignal): Promise<boolean>;
  /** An uploaded file by its id, whoever sent it. */
  stored(blobId: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Bytes that a file may have. */
  readonly maxBytes: number;
  /** Begins to run tasks. Throws `InvalidModel` if the model that a setting names does not fit. */
  start(): Promise<void>;
  /** Gives tasks in progress back, and ends all processes. */
  stop(): Promise<void>;
  status(): AnalysisStatus;
};

/** Which tasks of a list. */
export type Page = { readonly limit: number; readonly before?: string };

/** What `/status` tells. Counts are since the start. */
export type AnalysisStatus = {
  /** `off`: nothing can be uploaded, because nothing is stored. */
  readonly state: "ok" | "off";
  readonly model: ModelStatus;
  readonly queue: ReturnType<TaskQueue["status"]>;
  readonly completed: number;
  readonly failed: number;
  /** Runs that began anew because a worker died. */
  readonly rerun: number;
};
