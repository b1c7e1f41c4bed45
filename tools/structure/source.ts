import { globSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { type ESTree, type ParseResult, parseSync, Visitor, type VisitorObject } from "vite";

/** A source file, parsed. */
export type Source = {
  /** Under the project's root, with slashes: `server/app.ts`. */
  readonly path: string;
  readonly text: string;
  readonly program: ESTree.Program;
  readonly comments: ParseResult["comments"];
};

/** A finding of a rule: where, and what is wrong there. */
export type Problem = string;

/** Parses one file. Throws if it cannot be parsed. */
export function parseSource(path: string, text: string): Source {
  const { program, comments, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  return { path, text, program, comments };
}

/** Reads the TypeScript files under the folders, sorted by path. Throws if one cannot be parsed. */
export function readSources(root: string, folders: readonly string[]): readonly Source[] {
  const paths = folders.flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root }));
  return paths
    .map((path) => path.split(sep).join("/"))
    .filter((path) => !path.includes("/node_modules/"))
    .sort()
    .map((path) => parseSource(path, readFileSync(join(root, path), "utf8")));
}

/** Calls the visitor's functions for the nodes of the file. */
export function visit({ program }: Source, visitor: VisitorObject): void {
  new Visitor(visitor).visit(program);
}

/** Makes a visitor's function that notes a message for the node it is called with. */
export type Report = (message: string) => (node: { readonly start: number }) => void;

/** Visits every node of every file; what `look` reports are the problems, in order. */
export function findNodes(
  sources: readonly Source[],
  look: (report: Report) => VisitorObject,
): readonly Problem[] {
  return sources.flatMap((source) => {
    const problems: Problem[] = [];
    const report: Report = (message) => (node) => {
      problems.push(problemAt(source, node.start, message));
    };
    visit(source, look(report));
    return problems;
  });
}

/** `server/app.ts:12: message`, for a place given as an offset into the text. */
export function problemAt(source: Source, offset: number, message: string): Problem {
  return `${source.path}:${source.text.slice(0, offset).split("\n").length}: ${message}`;
}

/** Whether the file is a test, or a part of one. */
export function isForTests(path: string): boolean {
  return /\.test\.ts$|^test\//.test(path);
}

/** Whether the file is at one of the places. A place that ends in a slash is a folder. */
export function isAt(path: string, places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith("/") ? path.startsWith(place) : path === place));
}
