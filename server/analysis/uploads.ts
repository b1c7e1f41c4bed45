import { randomUUID } from "node:crypto";
import { onAbort, throwIfAborted } from "../core/async.ts";
import { LimitExceeded } from "../core/errors.ts";
import type { NewAnalysis } from "../storage/analysis-calls.ts";
import type { Storage } from "../storage/storage-contract.ts";
import type { UploadedFile } from "./analysis-contract.ts";
import type { Decoder } from "./decoder.ts";
import { SAMPLE_RATE_HZ, WINDOW_SAMPLES } from "./decoding/windows.ts";
import type { Measured } from "./decoding/worker.ts";
import { AnalysisError } from "./errors.ts";
import type { TaskFiles } from "./files.ts";

/** Takes files in. */
export type Uploads = {
  /** Checks a file and stores it with its task; both are durable then. Answers the task's id. */
  take(file: UploadedFile, storage: Pick<Storage, "call">, signal: AbortSignal): Promise<string>;
};

/** Tasks of one device that are not done. */
const MAX_OPEN_TASKS = 20;
/** Files that are checked at once. */
const MAX_CHECKS = 2;
/** What failed is undone though its client has left. */
const { signal: never } = new AbortController();

/** Makes what takes files in. */
export function createUploads(parts: {
  readonly files: TaskFiles;
  readonly decoder: Decoder;
}): Uploads {
  const { files, decoder } = parts;
  const inTurn = createTurns(MAX_CHECKS);
  return {
    async take({ deviceId, filename, bytes }, storage, signal) {
      if ((await storage.call("countOpenAnalyses", { deviceId }, signal)) >= MAX_OPEN_TASKS) {
        throw new LimitExceeded(
          `${MAX_OPEN_TASKS} files of this device wait for their analysis`,
          "analyses",
        );
      }
      const measured = await inTurn(() => decoder.measure(bytes, signal), signal);
      const id = randomUUID();
      const row = newRow({ id, deviceId, filename, fileSize: bytes.length }, measured);
      const add = (blobId: string) => ({ now: Date.now(), row: { ...row, blobId } });
      const writer = {
        begin: (blobId: string) => storage.call("addAnalysis", add(blobId), signal),
        finish: () => storage.call("openAnalysis", { id, now: Date.now() }, signal),
        undo: async () => void (await storage.call("removeAnalyses", { deviceId, id }, never)),
      };
      await files.store(bytes, writer, signal);
      return id;
    },
  };
}

type Sent = Pick<NewAnalysis, "id" | "deviceId" | "filename" | "fileSize">;

function newRow(sent: Sent, { format, samples }: Measured): Omit<NewAnalysis, "blobId"> {
  if (samples === 0) throw new AnalysisError("invalid", "the file holds no sound");
  const windowsTotal = Math.ceil(samples / WINDOW_SAMPLES);
  return { ...sent, format, durationSeconds: samples / SAMPLE_RATE_HZ, windowsTotal };
}

/** Lets so many run at once; the others wait in line, and leave it as soon as their signal fires. */
function createTurns(most: number) {
  let running = 0;
  const waiting = new Set<() => void>();
  const waitInLine = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const enter = () => {
        waiting.delete(enter);
        forget();
        resolve();
      };
      waiting.add(enter);
      const forget = onAbort(signal, (reason) => {
        waiting.delete(enter);
        reject(reason);
      });
    });
  return async <T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    throwIfAborted(signal);
    if (running >= most) await waitInLine(signal);
    else running += 1;
    try {
      return await run();
    } finally {
      const [next] = waiting;
      if (next) next();
      else running -= 1;
    }
  };
}
