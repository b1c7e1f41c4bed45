import { once } from "node:events";
import { ANALYSIS_AREA } from "./analysis/files.ts";
import { InvalidConfig, readConfig } from "./config/config.ts";
import { BlobError, type BlobStore } from "./storage/blobs/blob-store.ts";
import { openBlobStore } from "./storage/blobs/open-blob-store.ts";
import { calls } from "./storage/calls.ts";
import { type Connection, connect, emptyLog, isAbsent } from "./storage/connection.ts";
import { SCREENSHOTS_AREA } from "./storage/device-data.ts";
import { StorageError } from "./storage/errors.ts";
import { eraseDevice, readDevice } from "./storage/statements.ts";

// `npm run data -- export|erase DEVICE`: what is kept of a device, as JSON on standard output, with the
// pictures, files and vectors in base64. It works while the gateway runs, and whether or not the gateway stores anything now.

type Kept = Connection & { readonly pictures: BlobStore; readonly files: BlobStore };

const { signal } = new AbortController();

const commands = { export: exportDevice, erase };

/** Row by row: the pictures of a device may be more than memory holds. */
async function* exportDevice(kept: Kept, device: string): AsyncGenerator<string> {
  let before = "{";
  for (const [table, rows] of Object.entries(await readDevice(kept.database, device))) {
    yield `${before}\n  ${JSON.stringify(table)}: [`;
    before = ",";
    for (const [index, row] of rows.entries()) {
      const whole = await withObject(kept, table, row);
      yield `${index > 0 ? "," : ""}\n    ${JSON.stringify(whole, inBase64)}`;
    }
    yield rows.length > 0 ? "\n  ]" : "]";
  }
  yield "\n}\n";
}

/** Bytes come here as `Buffer.toJSON` made them. */
function inBase64(_key: string, value: unknown): unknown {
  const { type, data } = Object(value) as { type?: unknown; data?: unknown };
  return type === "Buffer" && Array.isArray(data) ? Buffer.from(data).toString("base64") : value;
}

/** A row with what it names in the blob store. */
async function withObject({ pictures, files }: Kept, table: string, row: object): Promise<object> {
  const { id, blobId } = row as { id: string; blobId: string };
  if (table === "screenshots") return { ...row, picture: toBase64(await pictures.get(id, signal)) };
  if (table === "analyses") return { ...row, file: toBase64(await files.get(blobId, signal)) };
  return row;
}

function toBase64(object: Uint8Array | undefined): string | null {
  return object ? Buffer.from(object).toString("base64") : null;
}

const STILL_IN_LOG =
  "The rows are erased, but the log of the database's writes still holds them, because another program reads or writes the database. Run the command again.";

/** An object goes once no device has it. */
async function* erase(kept: Kept, device: string): AsyncGenerator<string> {
  const { screenshots = [], analyses = [] } = await readDevice(kept.database, device);
  const pictureIds = [...new Set(screenshots.map((row) => (row as { id: string }).id))];
  const fileIds = [...new Set(analyses.map((row) => (row as { blobId: string }).blobId))];
  const rows = await eraseDevice(kept.database, device);
  const pictures = await calls.findOrphans(kept.database, { ids: pictureIds });
  for (const id of pictures) await kept.pictures.delete(id, signal);
  const files = await calls.findUnusedFiles(kept.database, { ids: fileIds });
  for (const id of files) await kept.files.delete(id, signal);
  const erased = { ...rows, pictures: pictures.length, files: files.length };
  yield `${JSON.stringify({ erased }, null, 2)}\n`;
  if (!(await emptyLog(kept))) throw new Error(STILL_IN_LOG);
}

async function run([command = "", device = "", ...more]: readonly string[]): Promise<void> {
  if ((command !== "export" && command !== "erase") || device === "" || more.length > 0) {
    throw new Error("Usage: npm run --silent data -- export|erase DEVICE");
  }
  const { database, blobs } = readConfig();
  if (isAbsent(database.url)) throw new Error("There is no database: nothing is kept.");
  const connection = await connect(database);
  const pictures = openBlobStore(blobs, { area: SCREENSHOTS_AREA });
  const files = openBlobStore(blobs, { area: ANALYSIS_AREA });
  try {
    for await (const text of commands[command]({ ...connection, pictures, files }, device)) {
      if (!process.stdout.write(text)) await once(process.stdout, "drain");
    }
  } finally {
    pictures.close();
    files.close();
    await connection.close();
  }
}

await run(process.argv.slice(2)).catch((error: Error) => {
  const expected = [StorageError, BlobError, InvalidConfig];
  const isExpected = expected.some((kind) => error instanceof kind);
  const prefix = isExpected ? "Data cannot be read or erased: " : "";
  process.stderr.write(`${prefix}${error.message}\n`);
  process.exitCode = 1;
});
