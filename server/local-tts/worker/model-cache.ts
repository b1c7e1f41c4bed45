import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ModelSession, openModelSession, runtimeVersion } from "./model-session.ts";

/** A network that is kept as it is once it was made ready: half of the time to load is that. */
export type CachedModel = {
  /** The file as it is published. */
  readonly original: Uint8Array;
  /** Changes it, before the runtime's own rewriting. Called where nothing is kept. */
  readonly prepare: (original: Uint8Array) => Uint8Array;
  /** Where it is kept. It may be removed at any time, and need not be writable. */
  readonly folder: string;
  readonly threads: number;
};

/**
 * Loads the network from what an earlier start kept, or makes it ready and keeps it. What is kept of
 * another original or by another runtime is not taken, nor what cannot be read. Throws what the
 * runtime throws if the original is no model.
 */
export async function openCachedModel(model: CachedModel): Promise<ModelSession> {
  const path = join(model.folder, `${nameOf(model.original)}.onnx`);
  return (await openKept(path, model.threads)) ?? (await openAndKeep(path, model));
}

function nameOf(original: Uint8Array): string {
  return `${createHash("sha256").update(original).digest("hex")}-${runtimeVersion}`;
}

async function openKept(path: string, threads: number): Promise<ModelSession | undefined> {
  try {
    return await openModelSession(await readFile(path), { threads, rewrite: "none" });
  } catch {
    return undefined;
  }
}

async function openAndKeep(path: string, model: CachedModel): Promise<ModelSession> {
  const { original, prepare, folder, threads } = model;
  const prepared = prepare(original);
  // More than the basic rewrites costs more at the start than it saves in a run.
  const options = { threads, rewrite: "basic" } as const;
  // No other process sees it before it is whole.
  const draft = `${path}.${process.pid}`;
  let session: ModelSession;
  try {
    await mkdir(folder, { recursive: true });
    session = await openModelSession(prepared, { ...options, keepIn: draft });
  } catch {
    await remove(draft);
    return openModelSession(prepared, options);
  }
  await rename(draft, path).catch(() => remove(draft));
  return session;
}

async function remove(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined);
}
