import { basename } from "node:path";
import { NotFound } from "../core/errors.ts";
import { BlobError, type BlobLocation } from "../storage/blobs/blob-store.ts";
import { openObjectReader } from "../storage/blobs/object-reader.ts";
import { isBlobId } from "../storage/blobs/open-blob-store.ts";
import type { Analysis } from "./analysis-contract.ts";
import { AnalysisError } from "./errors.ts";
import { ANALYSIS_AREA } from "./files.ts";
import type { AnalysisResult } from "./verdict.ts";

/** An object in the store, and who asks for it. */
type AskedObject = {
  readonly bucket: string;
  readonly key: string;
  /** The device, whose own uploads may be asked for; `all`: every object may. */
  readonly of: { readonly deviceId: string } | "all";
};

/** Objects that are in the store already, by bucket and key. */
export type StoredObjects = {
  /**
   * Analyzes an object. Throws `NotFound` for a bucket that is not to be read, for an object that is not there
   * and for one of another device alike; else what `Analysis.analyze` throws.
   */
  analyze(asked: AskedObject, signal: AbortSignal): Promise<AnalysisResult>;
  /** Where an uploaded file stands, for clients that ask for it by `AnalyzeAudio`. */
  placeOf(blobId: string): { readonly bucket: string; readonly key: string };
  close(): void;
};

type ObjectsOptions = {
  readonly location: BlobLocation;
  /** Buckets that may be read; that of `location` alone if empty. */
  readonly buckets: readonly string[];
  readonly analysis: Pick<Analysis, "analyze" | "owns" | "stored" | "maxBytes">;
};

/** Makes the way to objects. A folder is one bucket, by its own name. */
export function createStoredObjects({
  location,
  buckets,
  analysis,
}: ObjectsOptions): StoredObjects {
  const isFolder = location.type === "folder";
  const own = isFolder ? basename(location.path) : location.bucket;
  const base =
    isFolder || location.prefix === "" ? ANALYSIS_AREA : `${location.prefix}/${ANALYSIS_AREA}`;
  const allowed = new Set(buckets.length > 0 ? buckets : [own]);
  const reader = isFolder ? undefined : openObjectReader(location);
  const keyOf = (blobId: string) => `${base}/${blobId.slice(0, 2)}/${blobId}`;
  /** The id of an uploaded file, if that is what the key names. */
  const uploadOf = ({ bucket, key }: AskedObject): string | undefined => {
    const id = key.slice(-64);
    return bucket === own && isBlobId(id) && key === keyOf(id) ? id : undefined;
  };
  const read = async (asked: AskedObject, signal: AbortSignal) => {
    const upload = uploadOf(asked);
    if (asked.of !== "all") {
      const isOwn = upload && (await analysis.owns(asked.of.deviceId, upload, signal));
      if (!isOwn) return undefined;
    }
    if (upload) return await analysis.stored(upload, signal);
    return await reader?.get(asked.bucket, asked.key, analysis.maxBytes, signal);
  };
  return {
    async analyze(asked, signal) {
      if (!allowed.has(asked.bucket)) throw new NotFound("there is no such bucket");
      const bytes = await read(asked, signal).catch((error) => {
        const isLarge = error instanceof BlobError && error.kind === "too_large";
        if (!isLarge) throw error;
        throw new AnalysisError("too_large", `the file has more than ${analysis.maxBytes} bytes`);
      });
      if (!bytes) throw new NotFound("there is no such object");
      return await analysis.analyze(bytes, signal);
    },
    placeOf: (blobId) => ({ bucket: own, key: keyOf(blobId) }),
    close: () => reader?.close(),
  };
}
