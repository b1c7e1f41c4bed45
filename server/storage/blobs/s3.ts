import type { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import {
  type BlobDriver,
  BlobError,
  MAX_BLOB_BYTES,
  type ObjectReader,
  type S3Location,
} from "./blob-store.ts";

/** A bucket: keys are `PREFIX/AREA/ab/abc…`. An object is there as a whole or not at all. */
export function createS3Driver(location: S3Location, area: string): BlobDriver {
  const client = createClient(location);
  const base = [location.prefix, area].filter((part) => part !== "").join("/");
  const { bucket: Bucket } = location;
  const at = (id: string) => ({ Bucket, Key: `${base}/${id.slice(0, 2)}/${id}` });
  return {
    async put(id, bytes, signal) {
      const body = { Body: bytes, ContentLength: bytes.length };
      const command = new PutObjectCommand({ ...at(id), ...body });
      await naming(signal, () => client.send(command, { abortSignal: signal }));
    },
    get: (id, signal) =>
      naming(signal, async () => {
        const { Body, ContentLength = 0 } = await client.send(new GetObjectCommand(at(id)), {
          abortSignal: signal,
        });
        if (ContentLength > MAX_BLOB_BYTES) throw new BlobError("damaged");
        return await Body?.transformToByteArray();
      }).catch(undefinedIfAbsent),
    size: (id, signal) =>
      naming(signal, async () => {
        const command = new HeadObjectCommand(at(id));
        return (await client.send(command, { abortSignal: signal })).ContentLength;
      }).catch(undefinedIfAbsent),
    async delete(id, signal) {
      const command = new DeleteObjectCommand(at(id));
      await naming(signal, () => client.send(command, { abortSignal: signal })).catch(
        undefinedIfAbsent,
      );
    },
    async *list(signal) {
      let Marker = "";
      for (;;) {
        // The first version of the list: it goes on from a key, with every store.
        const command = new ListObjectsCommand({ Bucket, Prefix: `${base}/`, Marker });
        const { Contents = [], IsTruncated = false } = await naming(signal, () =>
          client.send(command, { abortSignal: signal }),
        );
        for (const { Key = "", Size = 0, LastModified } of Contents) {
          const id = Key.slice(Key.lastIndexOf("/") + 1);
          yield { id, bytes: Size, storedAt: LastModified?.getTime() ?? Date.now() };
        }
        Marker = Contents.at(-1)?.Key ?? "";
        if (!IsTruncated || Marker === "") return;
      }
    },
    close: () => client.destroy(),
  };
}

/** Reads objects of any bucket, by their keys. */
export function createS3Reader(location: S3Location): ObjectReader {
  const client = createClient(location);
  return {
    get: (Bucket, Key, maxBytes, signal) =>
      naming(signal, async () => {
        const command = new GetObjectCommand({ Bucket, Key });
        const { Body, ContentLength = 0 } = await client.send(command, { abortSignal: signal });
        if (ContentLength > maxBytes) {
          // Nobody reads the rest, and the connection must not wait for that.
          (Body as Readable | undefined)?.destroy();
          throw new BlobError("too_large");
        }
        return await Body?.transformToByteArray();
      }).catch((error) => {
        if (error instanceof BlobError && error.kind === "no_bucket") return undefined;
        return undefinedIfAbsent(error);
      }),
    close: () => client.destroy(),
  };
}

function createClient(location: S3Location): S3Client {
  const { endpoint, region, credentials, pathStyle } = location;
  return new S3Client({
    region,
    forcePathStyle: pathStyle,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials && { credentials }),
    // Checksums in trailers are AWS's own: other stores keep them as part of the object.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

/** There is no such object. */
class Absent extends Error {}

function undefinedIfAbsent(error: unknown): undefined {
  if (error instanceof Absent) return undefined;
  throw error;
}

/** Runs a call. Errors of the SDK name hosts, keys and requests; these do not. */
async function naming<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    signal.throwIfAborted();
    throw nameOf(error);
  }
}

function nameOf(error: unknown): Error {
  if (error instanceof BlobError) return error;
  if (!(error instanceof S3ServiceException)) return new BlobError("unreachable");
  const status = error.$metadata.httpStatusCode ?? 0;
  if (error.name === "NoSuchBucket") return new BlobError("no_bucket");
  if (status === 404) return new Absent();
  return new BlobError(status === 401 || status === 403 ? "unauthorized" : "server");
}
