import { Busboy, type BusboyFileStream, type BusboyHeaders } from "@fastify/busboy";
import { InvalidRequest } from "../core/errors.ts";

/** A file of a form. */
export type FormFile = {
  /** As the client named it, or "audio". Without control characters, at most 255 characters. */
  readonly filename: string;
  /** A view of the body, where the file lies in it in one piece. */
  readonly bytes: Uint8Array;
};

/** The field of the file. */
const FIELD = "audiofile";
const MAX_NAME = 255;
/** Fields and files of one form: more than any client sends. */
const MAX_PARTS = 100;

/**
 * The file in the field `audiofile` of a multipart body. Throws `InvalidRequest` unless it is there once.
 * The platform's own `formData` takes seven times the body's length in memory.
 */
export async function readUploadForm(body: Uint8Array, contentType: string): Promise<FormFile> {
  const found = await parse(body, contentType).catch((error) => {
    if (error instanceof InvalidRequest) throw error;
    throw new InvalidRequest(FIELD, "must be in a well-formed multipart body");
  });
  const [file] = found;
  if (!file || found.length > 1 || file.filename === undefined) {
    throw new InvalidRequest(FIELD, "must be there once, as a file with a filename");
  }
  return { filename: cleanName(file.filename), bytes: file.bytes };
}

/** A field of the name; without a filename it is no file. */
type Found = { readonly filename: string | undefined; readonly bytes: Uint8Array };

function parse(body: Uint8Array, contentType: string): Promise<readonly Found[]> {
  return new Promise((resolve, reject) => {
    const found: Found[] = [];
    const form = new Busboy({
      headers: { "content-type": contentType } satisfies BusboyHeaders,
      preservePath: true,
      limits: { parts: MAX_PARTS },
      isPartAFile: (_field, _type, filename) => filename !== undefined,
    });
    form.on("file", (field, stream, filename) => {
      // Of a part that is cut off the form says nothing.
      stream.on("error", reject);
      if (field !== FIELD) stream.resume();
      else collect(stream, (bytes) => found.push({ filename, bytes }));
    });
    form.on("field", (field) => {
      if (field === FIELD) found.push({ filename: undefined, bytes: new Uint8Array(0) });
    });
    form.once("partsLimit", () => reject(tooManyParts()));
    form.on("error", reject);
    form.once("finish", () => resolve(found));
    form.end(body);
  });
}

function tooManyParts(): InvalidRequest {
  return new InvalidRequest(FIELD, `must be in a form of at most ${MAX_PARTS} parts`);
}

function collect(stream: BusboyFileStream, done: (bytes: Uint8Array) => void): void {
  const pieces: Buffer[] = [];
  stream.on("data", (piece: Buffer) => pieces.push(piece));
  stream.once("end", () => {
    const [only] = pieces;
    done(only && pieces.length === 1 ? only : Buffer.concat(pieces));
  });
}

/** Browsers write these three characters so. Control characters have no place in what pages and logs show. */
function cleanName(name: string): string {
  const written = name.replace(/%(?:22|0D|0A)/gi, decodeURIComponent);
  return written.replace(/[\p{Cc}\p{Cf}]+/gu, "").slice(0, MAX_NAME) || "audio";
}
