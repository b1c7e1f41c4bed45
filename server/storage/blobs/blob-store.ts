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

/** The largest object, in bytes. */
export const MAX_BLOB_BYTES = 256 * 1024 * 1024;

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

/** Reads objects that others have stored, by bucket and key. */
export type ObjectReader = {
  /**
   * An object; undefined if there is none, or no such bucket. Rejects with a `BlobError`: `too_large` if it
   * has more than `maxBytes`, and with the signal's reason.
   */
  get(
    bucket: string,
    key: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>;
  close(): void;
};
