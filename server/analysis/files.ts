import type { BlobStore } from "../storage/blobs/blob-store.ts";
import { blobIdOf } from "../storage/blobs/open-blob-store.ts";
import { sweepOrphans } from "../storage/blobs/sweep.ts";
import type { Storage } from "../storage/storage-contract.ts";
import type { Logger } from "../telemetry/logger.ts";

/** The part of the blob store that has the files. */
export const ANALYSIS_AREA = "analysis";

/**
 * The files of tasks in the blob store. Several tasks may have one file: it goes with the last of them. What
 * is done to one file is done one after another.
 */
export type TaskFiles = {
  /** Stores a file between the two halves of its row: `begin` writes it, hidden, and `finish` shows it. */
  store(file: Uint8Array, row: RowWriter, signal: AbortSignal): Promise<void>;
  get(blobId: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Deletes a file that no task has any more. A store that fails now is swept later. */
  deleteUnused(blobId: string, signal: AbortSignal): Promise<void>;
  /** Deletes all files that no task has: of tasks that are too old, and of devices that were erased. */
  sweep(signal: AbortSignal): Promise<void>;
};

/** Writes the row of a file that is being stored. */
type RowWriter = {
  begin(blobId: string): Promise<void>;
  finish(): Promise<void>;
  /** The file could not be stored. */
  undo(): Promise<void>;
};

type FileParts = {
  readonly blobs: BlobStore;
  readonly storage: Pick<Storage, "call">;
  readonly logger: Logger;
  /** Milliseconds after which a file without a row is deleted; an hour if absent. */
  readonly orphanMs?: number | undefined;
};

const ORPHAN_MS = 3_600_000;

/** Makes the keeper of files. */
export function createTaskFiles({
  blobs,
  storage,
  logger,
  orphanMs = ORPHAN_MS,
}: FileParts): TaskFiles {
  const locks = new Map<string, Promise<unknown>>();
  const young = new Set<string>();
  const alone = async <T>(blobId: string, run: () => Promise<T>): Promise<T> => {
    const before = locks.get(blobId) ?? Promise.resolve();
    const result = before.then(run, run);
    locks.set(blobId, result);
    try {
      return await result;
    } finally {
      if (locks.get(blobId) === result) locks.delete(blobId);
    }
  };
  return {
    async store(file, row, signal) {
      const blobId = await blobIdOf(file);
      await alone(blobId, async () => {
        await row.begin(blobId);
        try {
          young.add(blobId);
          await blobs.put(file, signal);
          await row.finish();
        } catch (error) {
          await row.undo().catch(() => undefined);
          throw error;
        }
      });
    },
    get: (blobId, signal) => blobs.get(blobId, signal),
    async deleteUnused(blobId, signal) {
      await alone(blobId, async () => {
        const unused = await storage.call("findUnusedFiles", { ids: [blobId] }, signal);
        if (unused.length > 0) await blobs.delete(blobId, signal);
      }).catch((error: Error) => {
        logger.warn({ error: error.message }, "file not deleted; the next sweep tries again");
      });
    },
    async sweep(signal) {
      young.clear();
      await storage.call("removeUnstoredAnalyses", { before: Date.now() - orphanMs }, signal);
      const findOrphans = (ids: readonly string[]) =>
        storage.call("findUnusedFiles", { ids }, signal);
      const isYoung = (id: string) => young.has(id);
      await sweepOrphans({ blobs, findOrphans, isYoung, orphanMs }, signal);
    },
  };
}
