import { randomUUID } from "node:crypto";
import {
  type FileHandle,
  mkdir,
  open,
  opendir,
  readFile,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type BlobDriver,
  type BlobEntry,
  BlobError,
  type BlobErrorKind,
  MAX_BLOB_BYTES,
} from "./blob-store.ts";

/** What a write that broke off left is removed after this. */
const STALE_MS = 3_600_000;

/**
 * A folder: `FOLDER/AREA/ab/abc…`, readable by the owner alone. An object is written under another name
 * and synced before it gets its own, so that a half-written one can never be read.
 */
export function createFolderDriver(path: string, area: string): BlobDriver {
  const root = join(path, area);
  const unfinished = join(root, "unfinished");
  const pathOf = (id: string) => join(root, id.slice(0, 2), id);
  return {
    async put(id, bytes, signal) {
      const target = pathOf(id);
      const draft = join(unfinished, randomUUID());
      await naming(async () => {
        await makeFolders([unfinished, dirname(target)]);
        try {
          await writeAll(draft, bytes);
          signal.throwIfAborted();
          await rename(draft, target);
        } catch (error) {
          await rm(draft, { force: true }).catch(() => undefined);
          throw error;
        }
        await syncFolder(dirname(target));
      });
    },
    get: (id, signal) =>
      ifPresent(async () => {
        const { size } = await stat(pathOf(id));
        if (size > MAX_BLOB_BYTES) throw new BlobError("damaged");
        return await readFile(pathOf(id), { signal });
      }),
    size: (id) => ifPresent(async () => (await stat(pathOf(id))).size),
    delete: (id) => naming(() => rm(pathOf(id), { force: true })),
    async *list(signal) {
      for await (const folder of namesIn(root)) {
        signal.throwIfAborted();
        const path = join(root, folder);
        if (path === unfinished) await removeStale(path);
        else yield* entriesOf(path);
      }
    },
    close: () => undefined,
  };
}

/** Folders that are new are synced into those that hold them. */
async function makeFolders(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const made = await makeFolder(folder);
    if (made === undefined) continue;
    for (let at = folder; at.length >= made.length; at = dirname(at)) await syncFolder(dirname(at));
  }
}

async function makeFolder(path: string): Promise<string | undefined> {
  try {
    return await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    // Node says so of a disk that is read-only; without `recursive` it says what is the matter.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(path, { mode: 0o700 });
    return path;
  }
}

async function writeAll(path: string, bytes: Uint8Array): Promise<void> {
  await using file: FileHandle = await open(path, "wx", 0o600);
  await file.writeFile(bytes);
  await file.sync();
}

async function syncFolder(path: string): Promise<void> {
  // Windows can open no folder, and needs none of it.
  if (process.platform === "win32") return;
  await using folder = await open(path, "r");
  await folder.sync();
}

async function* entriesOf(folder: string): AsyncGenerator<BlobEntry> {
  for await (const id of namesIn(folder)) {
    const found = await ifPresent(() => stat(join(folder, id)));
    if (found?.isFile()) yield { id, bytes: found.size, storedAt: found.mtimeMs };
  }
}

async function removeStale(folder: string): Promise<void> {
  for await (const name of namesIn(folder)) {
    const path = join(folder, name);
    const found = await ifPresent(() => stat(path));
    if (found && Date.now() - found.mtimeMs > STALE_MS)
      await naming(() => rm(path, { force: true }));
  }
}

/** The names in a folder; none if it does not exist or is no folder. */
async function* namesIn(path: string): AsyncGenerator<string> {
  const folder = await ifPresent(() => opendir(path));
  if (folder) for await (const { name } of folder) yield name;
}

/** Undefined if there is no such file. */
async function ifPresent<T>(read: () => Promise<T>): Promise<T | undefined> {
  return await naming(() =>
    read().catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw error;
    }),
  );
}

const kinds: Readonly<Record<string, BlobErrorKind>> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "readonly",
  EACCES: "readonly",
  EPERM: "readonly",
};

/** Errors of the file system name paths. */
async function naming<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The signal's reason, and errors that have a name already.
    if (typeof code !== "string" || !/^E[A-Z0-9]+$/.test(code)) throw error;
    throw new BlobError(kinds[code] ?? "io");
  }
}
