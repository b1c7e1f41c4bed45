import type { BlobStore } from "./blob-store.ts";

/** What a sweep works with. */
export type SweepOptions = {
  readonly blobs: BlobStore;
  /** Those of the ids that nothing refers to. */
  readonly findOrphans: (ids: readonly string[], signal: AbortSignal) => Promise<readonly string[]>;
  /** Whether an object was stored since the sweep began: it stays. */
  readonly isYoung: (id: string) => boolean;
  /** Milliseconds that an object without a row stays: it is stored before its row, or beside it. */
  readonly orphanMs: number;
};

/** Ids that are looked up at once. */
const AT_ONCE = 500;

/** Deletes objects that nothing refers to any more. Returns their number. Rejects if a store fails. */
export async function sweepOrphans(options: SweepOptions, signal: AbortSignal): Promise<number> {
  const { blobs, findOrphans, isYoung, orphanMs } = options;
  let deleted = 0;
  const deleteOrphans = async (ids: readonly string[]) => {
    if (ids.length === 0) return;
    for (const id of await findOrphans(ids, signal)) {
      if (isYoung(id)) continue;
      await blobs.delete(id, signal);
      deleted += 1;
    }
  };
  let old: string[] = [];
  for await (const { id, storedAt } of blobs.list(signal)) {
    if (Date.now() - storedAt < orphanMs) continue;
    old.push(id);
    if (old.length < AT_ONCE) continue;
    await deleteOrphans(old);
    old = [];
  }
  await deleteOrphans(old);
  return deleted;
}
