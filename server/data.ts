import { once } from "node:events";
import { InvalidConfig, readConfig } from "./config/config.ts";
import { BlobError, type BlobStore } from "./storage/blobs/blob-store.ts";
import { openBlobStore } from "./storage/blobs/open-blob-store.ts";
import { calls } from "./storage/calls.ts";
import { type Connection, connect, emptyLog, isAbsent } from "./storage/connection.ts";
import { SCREENSHOTS_AREA } from "./storage/device-data.ts";
import { StorageError } from "./storage/errors.ts";
import { eraseDevice, readDevice } from "./storage/statements.ts";

// `npm run data -- export|erase DEVICE`: what is kept of a device, as JSON on standard output, with the
// pictures and vectors in base64. It works while the gateway runs, and whether or not the gateway stores anything now.

type Kept = Connection & { readonly pictures: BlobStore };

const { signal } = new AbortController();

const commands = { export: exportDevice, erase };

/** Row by row: the pictures of a device may be more than memory holds. */
async function* exportDevice(kept: Kept, device: string): AsyncGenerator<string> {
  let before = "{";
  for (const [table, rows] of Object.entries(await readDevice(kept.database, device))) {
    yield `${before}\n  ${JSON.stringify(table)}: [`;
    before = ",";
    for (const [index, row] of rows.entries()) {
      const whole = table === "screenshots" ? await withPicture(kept.pictures, row) : row;
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

async function withPicture(pictures: BlobStore, row: object): Promise<object> {
  const picture = await pictures.get((row as { id: string }).id, signal);
  return { ...row, picture: picture ? Buffer.from(picture).toString("base64") : null };
}

/** A picture goes once no device has it. */
async function* erase(kept: Kept, device: string): AsyncGenerator<string> {
  const { screenshots = [] } = await readDevice(kept.database, device);
  const ids = [...new Set(screenshots.map((row) => (row as { id: string }).id))];
  const rows = await eraseDevice(kept.database, device);
  const orphans = await calls.findOrphans(kept.database, { ids });
  for (const id of orphans) await kept.pictures.delete(id, signal);
  await emptyLog(kept);
  yield `${JSON.stringify({ erased: { ...rows, pictures: orphans.length } }, null, 2)}\n`;
}

async function run([command = "", device = "", ...more]: readonly string[]): Promise<void> {
  if ((command !== "export" && command !== "erase") || device === "" || more.length > 0) {
    throw new Error("Usage: npm run --silent data -- export|erase DEVICE");
  }
  const { database, blobs } = readConfig();
  if (isAbsent(database.url)) throw new Error("There is no database: nothing is kept.");
  const connection = await connect(database);
  const pictures = openBlobStore(blobs, { area: SCREENSHOTS_AREA });
  try {
    for await (const text of commands[command]({ ...connection, pictures }, device)) {
      if (!process.stdout.write(text)) await once(process.stdout, "drain");
    }
  } finally {
    pictures.close();
    connection.close();
  }
}

await run(process.argv.slice(2)).catch((error: Error) => {
  const expected = [StorageError, BlobError, InvalidConfig];
  const isExpected = expected.some((kind) => error instanceof kind);
  const prefix = isExpected ? "Data cannot be read or erased: " : "";
  process.stderr.write(`${prefix}${error.message}\n`);
  process.exitCode = 1;
});
