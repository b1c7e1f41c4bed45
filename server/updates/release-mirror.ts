import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { BlobLocation, BlobStore } from "../storage/blobs/blob-store.ts";
import { blobIdOf, openBlobStore } from "../storage/blobs/open-blob-store.ts";
import { fileName } from "./manifest.ts";

/**
 * A folder of releases in a blob store, whose objects have no names: an entry names an object. Of two
 * entries of one name the later one counts.
 */
export type ReleaseMirror = {
  /**
   * Brings the folder to what the store has: files first, manifests and feeds after them, so that a
   * manifest never names a file that is missing. Other files of the folder are removed.
   */
  pull(signal: AbortSignal): Promise<void>;
  /** Brings the store to what the folder has, in the same order. */
  push(signal: AbortSignal): Promise<void>;
  /** Closes connections. */
  close(): void;
};

/** What a mirror is between. */
export type MirrorOptions = {
  readonly folder: string;
  readonly entries: BlobStore;
  readonly files: BlobStore;
};

const entrySchema = z.strictObject({
  name: fileName,
  /** The id of the object. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** When it was published, in milliseconds since 1970. */
  at: z.int().nonnegative(),
});

type Entry = z.output<typeof entrySchema> & { readonly id: string };

/** A release of 256 MiB, the largest object, may take so long. */
const FILE_TIMEOUT_MS = 600_000;

/** Opens the mirror of a folder in a blob store, in areas of its own. */
export function openReleaseMirror(folder: string, location: BlobLocation): ReleaseMirror {
  const entries = openBlobStore(location, { area: "release-entries" });
  const files = openBlobStore(location, { area: "release-files", timeoutMs: FILE_TIMEOUT_MS });
  return createReleaseMirror({ folder, entries, files });
}

/** Makes a mirror. It touches nothing before the first call. */
export function createReleaseMirror({ folder, entries, files }: MirrorOptions): ReleaseMirror {
  const list = createEntryList(entries);
  let hashes: Map<string, string> | undefined;
  return {
    async pull(signal) {
      hashes ??= await hashesOf(folder);
      const wanted = latestOf(await list(signal));
      for (const { name, sha256 } of inOrder([...wanted.values()])) {
        if (hashes.get(name) === sha256) continue;
        const bytes = await files.get(sha256, signal);
        // An entry whose object is not there yet, or any more.
        if (bytes === undefined) continue;
        await replace(folder, name, bytes);
        hashes.set(name, sha256);
      }
      // Manifests go before the files that they name.
      for (const { name } of inOrder([...hashes.keys()].map((name) => ({ name }))).reverse()) {
        if (wanted.has(name)) continue;
        await rm(join(folder, name), { force: true });
        hashes.delete(name);
      }
    },
    async push(signal) {
      const local = await hashesOf(folder);
      hashes = undefined;
      const before = await list(signal);
      const latest = latestOf(before);
      const at = Date.now();
      for (const { name } of inOrder([...local.keys()].map((each) => ({ name: each })))) {
        const sha256 = local.get(name) as string;
        if (latest.get(name)?.sha256 === sha256) continue;
        await files.put(await readFile(join(folder, name)), signal);
        await entries.put(Buffer.from(JSON.stringify({ name, sha256, at })), signal);
      }
      const isStale = ({ name, sha256 }: Entry) => local.get(name) !== sha256;
      const stale = inOrder(before.filter(isStale)).reverse();
      const kept = new Set(local.values());
      for (const { id, sha256 } of stale) {
        await entries.delete(id, signal);
        if (!kept.has(sha256)) await files.delete(sha256, signal);
      }
    },
    close() {
      entries.close();
      files.close();
    },
  };
}

/** Makes a reader of entries. They do not change, so each is read once. */
function createEntryList(entries: BlobStore) {
  const known = new Map<string, Entry | undefined>();
  return async (signal: AbortSignal): Promise<readonly Entry[]> => {
    const ids = (await Array.fromAsync(entries.list(signal))).map(({ id }) => id);
    const present = new Set(ids);
    for (const id of known.keys()) if (!present.has(id)) known.delete(id);
    for (const id of ids) {
      if (!known.has(id)) known.set(id, parseEntry(id, await entries.get(id, signal)));
    }
    return [...known.values()].filter((entry) => entry !== undefined);
  };
}

/** What each file of a folder of releases holds. */
async function hashesOf(folder: string): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((each) => fileName.safeParse(each).success)) {
    hashes.set(name, await blobIdOf(await readFile(join(folder, name))));
  }
  return hashes;
}

function parseEntry(id: string, bytes: Uint8Array | undefined): Entry | undefined {
  if (bytes === undefined) return undefined;
  try {
    return { ...entrySchema.parse(JSON.parse(Buffer.from(bytes).toString())), id };
  } catch {
    // Not an entry of this version.
    return undefined;
  }
}

function latestOf(all: readonly Entry[]): ReadonlyMap<string, Entry> {
  const byAge = all.toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  return new Map(byAge.map((entry) => [entry.name, entry]));
}

/** Files, then manifests, then feeds. */
function inOrder<Each extends { readonly name: string }>(all: readonly Each[]): Each[] {
  const rank = ({ name }: Each) => (name.endsWith(".xml") ? 2 : name.endsWith(".json") ? 1 : 0);
  return all.toSorted((a, b) => rank(a) - rank(b));
}

async function replace(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  await mkdir(folder, { recursive: true });
  // No name of a release begins with a dot.
  const draft = join(folder, `.${name}.${process.pid}.tmp`);
  await writeFile(draft, bytes, { flush: true });
  await rename(draft, join(folder, name));
}

/** How often the store is asked. */
const PULL_EVERY_MS = 15_000;

/** Copies releases from the store as long as it runs. */
export type RunningMirror = {
  start(): void;
  stop(): Promise<void>;
  /** What the last pull failed with, if it did. */
  problem(): string | undefined;
};

/** Pulls at once and then every 15 s. What fails is reported, and tried again. */
export function runMirror(mirror: ReleaseMirror, onError: (error: Error) => void): RunningMirror {
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let pulling: Promise<void> = Promise.resolve();
  let problem: string | undefined;
  const pull = async () => {
    try {
      await mirror.pull(stopping.signal);
      problem = undefined;
    } catch (error) {
      if (stopping.signal.aborted) return;
      const { message } = error as Error;
      if (problem !== message) onError(error as Error);
      problem = message;
    }
    if (!stopping.signal.aborted) timer = setTimeout(start, PULL_EVERY_MS).unref();
  };
  const start = () => {
    pulling = pull();
  };
  return {
    start,
    problem: () => problem,
    async stop() {
      stopping.abort(new Error("the gateway stops"));
      clearTimeout(timer);
      await pulling;
      mirror.close();
    },
  };
}
