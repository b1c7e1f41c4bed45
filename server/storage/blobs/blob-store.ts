import { webcrypto } from "node:crypto";
import { abortable } from "../../core/async.ts";

/**
 * Objects, each named by what it holds. Several gateways may share a store.
 *
 * Every method rejects with a `BlobError` if the store fails or does not answer in time, and with the
 * signal's reason when that fires.
 */
export type BlobStore = {
  /**
   * Stores an object and answers its id. It is durable then; one that fails leaves nothing that can be
   * read. Storing the same bytes again makes the object as young as a new one.
   */
  put(bytes: Uint8Array, signal: AbortSignal): Promise<string>;
  /** The object, checked against its id. Undefined if there is none, or if it is no id. */
  get(id: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** The object's size in bytes. Undefined if there is none. */
  size(id: string, signal: AbortSignal): Promise<number | undefined>;
  /** Deletes an object, if there is one. */
  delete(id: string, signal: AbortSignal): Promise<void>;
  /** All objects, in no order, for a sweep. Also removes what writes that broke off have left. */
  list(signal: AbortSignal): AsyncIterable<BlobEntry>;
  /** Closes connections. Nothing may be called after it. */
  close(): void;
};

/** An object in a list. */
export type BlobEntry = {
  readonly id: string;
  readonly bytes: number;
  /** Milliseconds since 1970, by the store's clock. */
  readonly storedAt: number;
};

/** Where objects are kept. */
export type BlobLocation =
  | { readonly type: "folder"; readonly path: string }
  | ({ readonly type: "s3" } & S3Location);

/** A bucket of S3 or of a store that speaks its protocol. */
export type S3Location = {
  readonly bucket: string;
  /** Stands before every key, without slashes at its ends; may be empty. */
  readonly prefix: string;
  /** AWS if absent. */
  readonly endpoint?: string;
  readonly region: string;
  /** Absent: what the SDK finds, such as the role of the machine. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** Whether the bucket stands in the path, not in the host name. */
  readonly pathStyle: boolean;
};

/** How a store is opened. */
export type BlobStoreOptions = {
  /** The part of the store for one kind of object: a sweep of one never sees another. */
  readonly area: string;
  /** Milliseconds that one call may take; 15,000 if absent. */
  readonly timeoutMs?: number;
};

/** The largest object, in bytes. */
export const MAX_BLOB_BYTES = 256 * 1024 * 1024;

const TIMEOUT_MS = 15_000;

/**
 * Why a blob store failed. All but `damaged` and `too_large` concern the store: they may pass by
 * themselves, or a setting must change.
 */
export type BlobErrorKind =
  | "full"
  | "readonly"
  | "io"
  | "unreachable"
  | "timeout"
  | "server"
  | "unauthorized"
  | "no_bucket"
  | "damaged"
  | "too_large";

const messages: Record<BlobErrorKind, string> = {
  full: "the disk is full",
  readonly: "the folder cannot be written",
  io: "the folder cannot be read or written",
  unreachable: "the object store is not reachable",
  timeout: "the object store does not answer in time",
  server: "the object store failed",
  unauthorized: "the object store refuses the key",
  no_bucket: "the bucket does not exist",
  damaged: "the object is not what was stored",
  too_large: "the object is too large",
};

/** A blob store failed. The message holds no path, no address and no key. */
export class BlobError extends Error {
  override readonly name = "BlobError";
  readonly kind: BlobErrorKind;

  constructor(kind: BlobErrorKind) {
    super(messages[kind]);
    this.kind = kind;
  }
}

/** The driver of a store: ids are checked, and time is limited, outside of it. */
export type BlobDriver = Omit<BlobStore, "put"> & {
  put(id: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
};

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
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new BlobError("timeout")), timeoutMs);
    const limited = AbortSignal.any([signal, late.signal]);
    try {
      // A disk that hangs hears no signal.
      return await abortable(
        driver().then((opened) => run(opened, limited)),
        limited,
      );
    } finally {
      clearTimeout(timer);
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
