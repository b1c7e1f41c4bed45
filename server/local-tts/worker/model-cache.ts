import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ModelSession, openModelSession, runtimeVersion } from "./model-session.ts";

/** A model whose optimized form is cached on disk. Optimizing takes half of the loading time. */
export type CachedModel = {
  /** The published file. */
  readonly original: Uint8Array;
  /** Runs before the runtime's own optimization, if nothing is cached. */
  readonly optimize: (original: Uint8Array) => Uint8Array;
  /** A short trial run. Throws if the model does not work. */
  readonly probe: (session: ModelSession) => Promise<unknown>;
  /** The cache folder. It may be deleted at any time, and need not be writable. */
  readonly folder: string;
  readonly threads: number;
};

/**
 * Loads the model from the cache, or optimizes and caches it. A cached file is used if it belongs to
 * this original and this runtime, matches its hash, and passes the probe; else it is deleted, like the
 * drafts of processes that were killed. Throws what the runtime throws if the original is not a model.
 */
export async function openCachedModel(model: CachedModel): Promise<ModelSession> {
  const cache = createCache(model.folder, `${hashOf(model.original)}-${runtimeVersion}`);
  return (await openCached(cache, model)) ?? (await optimizeAndCache(cache, model));
}

type Cache = ReturnType<typeof createCache>;

/**
 * The cache of one model: `NAME.HASH.onnx`, with the hash of the content. The rename makes the file and
 * its hash visible in one step, so no other process sees an incomplete file.
 */
function createCache(folder: string, name: string) {
  const draft = join(folder, `${name}.${process.pid}.draft`);
  const pathOf = (hash: string) => join(folder, `${name}.${hash}.onnx`);
  return {
    folder,
    draft,
    /** Moves the draft into the cache. */
    async commit() {
      const path = pathOf(hashOf(await readFile(draft)));
      await rename(draft, path);
    },
    /** Reads the cached file. Deletes invalid files and abandoned drafts. */
    async read(): Promise<Uint8Array | undefined> {
      let found: Uint8Array | undefined;
      for (const file of await readdir(folder).catch(() => [])) {
        const path = join(folder, file);
        if (isAbandoned(file)) await remove(path);
        if (!file.startsWith(`${name}.`) || !file.endsWith(".onnx")) continue;
        const bytes = await readFile(path).catch(() => undefined);
        if (bytes && path === pathOf(hashOf(bytes))) found = bytes;
        else await remove(path);
      }
      return found;
    },
    remove: (bytes: Uint8Array) => remove(pathOf(hashOf(bytes))),
  };
}

/** True for a draft whose process has ended. */
function isAbandoned(file: string): boolean {
  const [, pid] = /\.(\d+)(?:\.draft)?$/.exec(file) ?? [];
  if (pid === undefined || !/^[0-9a-f]{64}-/.test(file)) return false;
  if (Number(pid) === process.pid) return true;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

async function openCached(cache: Cache, model: CachedModel): Promise<ModelSession | undefined> {
  const bytes = await cache.read();
  if (!bytes) return undefined;
  try {
    const session = await openModelSession(bytes, { threads: model.threads, optimization: "none" });
    await probed(session, model);
    return session;
  } catch {
    await cache.remove(bytes);
    return undefined;
  }
}

async function optimizeAndCache(cache: Cache, model: CachedModel): Promise<ModelSession> {
  const { original, optimize, folder, threads } = model;
  const optimized = optimize(original);
  // Further optimization costs more at the start than it saves in a run.
  const options = { threads, optimization: "basic" } as const;
  let session: ModelSession;
  try {
    await mkdir(folder, { recursive: true });
    session = await openModelSession(optimized, { ...options, writeTo: cache.draft });
  } catch {
    await remove(cache.draft);
    return openModelSession(optimized, options);
  }
  const committed = model.probe(session).then(cache.commit);
  await committed.catch(() => remove(cache.draft));
  return session;
}

async function probed(session: ModelSession, { probe }: CachedModel): Promise<void> {
  try {
    await probe(session);
  } catch (error) {
    await session.release();
    throw error;
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined);
}
