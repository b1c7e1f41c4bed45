import { webcrypto } from "node:crypto";
import { abortable } from "../../core/async.ts";
import { limitTime } from "../../core/time-limit.ts";
import {
  type BlobDriver,
  BlobError,
  type BlobLocation,
  type BlobStore,
  MAX_BLOB_BYTES,
} from "./blob-store.ts";

/** How a store is opened. */
export type BlobStoreOptions = {
  /** The part of the store for one kind of object: a sweep of one never sees another. */
  readonly area: string;
  /** Milliseconds that one call may take; 15,000 if absent. */
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 15_000;

/**
 * Opens a store. Nothing is read, written or loaded before the first call; a folder is made by the first
 * `put`.
 */
export function openBlobStore(location: BlobLocation, options: BlobStoreOptions): BlobStore {
  const { area, timeoutMs = TIMEOUT_MS } = options;
  let opened: Promise<BlobDriver> | undefined;
  const driver = () => {
    opened ??= openDriver(location, area);
    return opened;
  };
  const call = async <T>(
    signal: AbortSignal,
    run: (driver: BlobDriver, signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    signal.throwIfAborted();
    const time = limitTime(signal, timeoutMs, () => new BlobError("timeout"));
    try {
      // A disk that hangs hears no signal.
      return await abortable(
        driver().then((opened) => run(opened, time.signal)),
        time.signal,
      );
    } finally {
      time.clear();
    }
  };
  const ifKnown = <T>(id: string, run: () => Promise<T>): Promise<T | undefined> =>
    isBlobId(id) ? run() : Promise.resolve(undefined);
  return {
    async put(bytes, signal) {
      if (bytes.length > MAX_BLOB_BYTES) throw new BlobError("too_large");
      const id = await blobIdOf(bytes);
      await call(signal, (driver, limited) => driver.put(id, bytes, limited));
      return id;
    },
    get: (id, signal) =>
      ifKnown(id, async () => {
        const bytes = await call(signal, (driver, limited) => driver.get(id, limited));
        if (bytes && (await blobIdOf(bytes)) !== id) throw new BlobError("damaged");
        return bytes;
      }),
    size: (id, signal) =>
      ifKnown(id, () => call(signal, (driver, limited) => driver.size(id, limited))),
    async delete(id, signal) {
      await ifKnown(id, () => call(signal, (driver, limited) => driver.delete(id, limited)));
    },
    async *list(signal) {
      const entries = (await driver()).list(signal)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const step = await call(signal, () => entries.next());
          if (step.done) return;
          if (isBlobId(step.value.id)) yield step.value;
        }
      } finally {
        // One that hangs would not return.
        void entries.return?.()?.catch(() => undefined);
      }
    },
    close: () => void opened?.then((driver) => driver.close()).catch(() => undefined),
  };
}

/** An SDK that is not used costs neither time nor memory. */
async function openDriver(location: BlobLocation, area: string): Promise<BlobDriver> {
  if (location.type === "folder") {
    const { createFolderDriver } = await import("./folder.ts");
    return createFolderDriver(location.path, area);
  }
  const { createS3Driver } = await import("./s3.ts");
  return createS3Driver(location, area);
}

/** The id of an object: SHA-256 in hexadecimal. Large ones are hashed in another thread. */
export async function blobIdOf(bytes: Uint8Array): Promise<string> {
  const digest = await webcrypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Buffer.from(digest).toString("hex");
}

/** Whether a text is an id. Nothing else becomes part of a path or a key. */
export function isBlobId(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
