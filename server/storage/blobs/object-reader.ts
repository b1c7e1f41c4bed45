import { abortable } from "../../core/async.ts";
import type { S3Location } from "./blob-store.ts";

/** Reads objects that others have stored, by bucket and key. */
export type ObjectReader = {
  /**
   * An object; undefined if there is none, or no such bucket. Rejects with a `BlobError`: `too_large` if it
   * has more than `maxBytes`, and with the signal's reason.
   */
  get(bucket: string, key: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  close(): void;
};

/** Opens a reader for all buckets of a store. Nothing is loaded before the first call. */
export function openObjectReader(location: S3Location): ObjectReader {
  let opened: Promise<ObjectReader> | undefined;
  const open = async () => (await import("./s3.ts")).createS3Reader(location);
  return {
    async get(bucket, key, maxBytes, signal) {
      opened ??= open();
      const found = opened.then((reader) => reader.get(bucket, key, maxBytes, signal));
      return await abortable(found, signal);
    },
    close: () => void opened?.then((reader) => reader.close()).catch(() => undefined),
  };
}
