import { abortable } from "../../core/async.ts";
import type { ObjectReader, S3Location } from "./blob-store.ts";

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
