import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Problem } from "./source.ts";

const REGISTRY_HOST = /\bregistry\.[\w.-]+\.(com|org|net|io|dev)\b/;
const RESOLVED = /^\s*"resolved": "https?:/m;

/** A file as text. */
export type TextFile = { readonly path: string; readonly text: string };

/**
 * Every text file that git tracks, or would if it were added. Needs the git command and the
 * repository.
 */
export function readTracked(root: string): readonly TextFile[] {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const paths = execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\0");
  return paths
    .filter((path) => path !== "" && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), "latin1") }))
    .filter(({ text }) => !text.includes("\0"));
}

/** Files that say from which registry packages come: each machine knows its own. */
export function findRegistries(files: readonly TextFile[]): readonly Problem[] {
  return files.flatMap(({ path, text }) => {
    const host = text.match(REGISTRY_HOST)?.[0];
    if (host !== undefined) return [`${path}: names the registry ${host}`];
    if (!path.endsWith("package-lock.json") || !RESOLVED.test(text)) return [];
    return [`${path}: holds addresses; npm's omit-lockfile-registry-resolved leaves them out`];
  });
}
