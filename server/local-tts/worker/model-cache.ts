import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ModelSession, openModelSession, runtimeVersion } from "./model-session.ts";

/** A network that is kept as it is once it was made ready: half of the time to load is that. */
export type CachedModel = {
  /** The file as it is published. */
  readonly original: Uint8Array;
  /** Changes it, before the runtime's own rewriting. Called where nothing is kept. */
  readonly prepare: (original: Uint8Array) => Uint8Array;
  /** Tries it with a short run. Throws if what it makes is of no use. */
  readonly probe: (session: ModelSession) => Promise<unknown>;
  /** Where it is kept. It may be removed at any time, and need not be writable. */
  readonly folder: string;
  readonly threads: number;
};

/**
 * Loads the network from what an earlier start kept, or makes it ready and keeps it. What was kept
 * is taken if it is of this original, by this runtime, whole by its own hash, and passes the probe;
 * else it is thrown away, and so is what a start that was killed has left. Throws what the runtime
 * throws if the original is no model.
 */
export async function openCachedModel(model: CachedModel): Promise<ModelSession> {
  const shelf = createShelf(model.folder, `${hashOf(model.original)}-${runtimeVersion}`);
  return (await openKept(shelf, model)) ?? (await openAndKeep(shelf, model));
}

type Shelf = ReturnType<typeof createShelf>;

/**
 * Where one network is kept: `NAME.HASH.onnx`, of what hash its bytes have. So what is there and
 * what it is to be appear in one step, and no other process sees it before it is whole.
 */
function createShelf(folder: string, name: string) {
  const draft = join(folder, `${name}.${process.pid}.draft`);
  const pathOf = (hash: string) => join(folder, `${name}.${hash}.onnx`);
  return {
    folder,
    draft,
    /** Keeps the draft in the place of all that was kept of this network. */
    async keep() {
      const path = pathOf(hashOf(await readFile(draft)));
      await rename(draft, path);
    },
    /** What is kept, and is what it is to be. The rest is thrown away. */
    async take(): Promise<Uint8Array | undefined> {
      let taken: Uint8Array | undefined;
      for (const file of await readdir(folder).catch(() => [])) {
        const path = join(folder, file);
        if (isAbandoned(file)) await remove(path);
        if (!file.startsWith(`${name}.`) || !file.endsWith(".onnx")) continue;
        const bytes = await readFile(path).catch(() => undefined);
        if (bytes && path === pathOf(hashOf(bytes))) taken = bytes;
        else await remove(path);
      }
      return taken;
    },
    discard: (bytes: Uint8Array) => remove(pathOf(hashOf(bytes))),
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

async function openKept(shelf: Shelf, model: CachedModel): Promise<ModelSession | undefined> {
  const bytes = await shelf.take();
  if (!bytes) return undefined;
  try {
    const session = await openModelSession(bytes, { threads: model.threads, rewrite: "none" });
    await probed(session, model);
    return session;
  } catch {
    await shelf.discard(bytes);
    return undefined;
  }
}

async function openAndKeep(shelf: Shelf, model: CachedModel): Promise<ModelSession> {
  const { original, prepare, folder, threads } = model;
  const prepared = prepare(original);
  // More than the basic rewrites costs more at the start than it saves in a run.
  const options = { threads, rewrite: "basic" } as const;
  let session: ModelSession;
  try {
    await mkdir(folder, { recursive: true });
    session = await openModelSession(prepared, { ...options, keepIn: shelf.draft });
  } catch {
    await remove(shelf.draft);
    return openModelSession(prepared, options);
  }
  const isOfUse = model.probe(session).then(shelf.keep);
  await isOfUse.catch(() => remove(shelf.draft));
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
