import { existsSync, globSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, sep } from "node:path";
import { readContract } from "./api-docs/contract.ts";
import { renderApi } from "./api-docs/render.ts";
import { runBuf } from "./run-buf.ts";

/** Generated files: path under the root, with slashes, to content. */
export type Generated = ReadonlyMap<string, string>;

/** A generated file that is out of date. */
export type Difference = {
  readonly path: string;
  readonly problem: "differs" | "is missing" | "is no longer generated";
};

const CODE = "gen";
const DOCS = "docs/api.md";

/** Generates everything that follows from `root`/proto. Writes nothing under `root`. */
export async function makeGenerated(root: string): Promise<Generated> {
  const scratch = await mkdtemp(join(tmpdir(), "parley-gen-"));
  try {
    const [contract] = await Promise.all([
      readContract(root),
      runBuf(root, ["generate", "-o", scratch]),
    ]);
    const code = await readFiles(scratch, listFiles(scratch));
    return new Map([...code, [DOCS, renderApi(contract)]]);
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** Compares the files under `root` with what they should be. Returns those that differ. */
export async function findDifferences(
  root: string,
  wanted: Generated,
): Promise<readonly Difference[]> {
  const present = await readFiles(root, listGenerated(root));
  const paths = [...new Set([...wanted.keys(), ...present.keys()])].sort();
  return paths.flatMap((path): Difference[] => {
    if (!wanted.has(path)) return [{ path, problem: "is no longer generated" }];
    if (!present.has(path)) return [{ path, problem: "is missing" }];
    return present.get(path) === wanted.get(path) ? [] : [{ path, problem: "differs" }];
  });
}

/** Writes the files that differ, and deletes those in gen/ that are no longer generated. */
export async function writeGenerated(
  root: string,
  wanted: Generated,
): Promise<readonly Difference[]> {
  const differences = await findDifferences(root, wanted);
  for (const { path } of differences) {
    const content = wanted.get(path);
    if (content === undefined) await rm(join(root, path));
    else await writeInto(join(root, path), content);
  }
  return differences;
}

function listGenerated(root: string): readonly string[] {
  const docs = existsSync(join(root, DOCS)) ? [DOCS] : [];
  return [...listFiles(root, CODE), ...docs];
}

function listFiles(root: string, folder = ""): readonly string[] {
  const entries = globSync("**/*", { cwd: join(root, folder), withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(root, "/").length))
    .map((path) => path.split(sep).join("/"));
}

async function readFiles(root: string, paths: readonly string[]): Promise<Generated> {
  const read = async (path: string) => [path, await readFile(join(root, path), "utf8")] as const;
  return new Map(await Promise.all(paths.map(read)));
}

async function writeInto(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
