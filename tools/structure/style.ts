import type { ESTree } from "vite";
import { findNodes } from "./find-nodes.ts";
import { isForTests, type Problem, type Source } from "./source.ts";

const MAX_LINES = 250;

/** Default exports. */
export function findDefaultExports(sources: readonly Source[]): readonly Problem[] {
  return findNodes(sources, (report) => ({
    ExportDefaultDeclaration: report("is exported by default: give it a name"),
    ExportSpecifier: (node) => {
      if ("name" in node.exported && node.exported.name === "default") {
        report("is exported by default: give it a name")(node);
      }
    },
  }));
}

/** Files that hold nothing of their own, and files called index.ts. */
export function findBarrels(sources: readonly Source[]): readonly Problem[] {
  return sources.flatMap(({ path, program }) => {
    if (/(^|\/)index\.ts$/.test(path))
      return [`${path}: is called index.ts, after nothing it does`];
    const passesOn = program.body.some(isReExport);
    const holdsNothing = program.body.every(
      (node) => node.type === "ImportDeclaration" || isReExport(node),
    );
    return passesOn && holdsNothing ? [`${path}: only passes on what others export`] : [];
  });
}

/** `any`. */
export function findAny(sources: readonly Source[]): readonly Problem[] {
  return findNodes(sources, (report) => ({ TSAnyKeyword: report("any turns the types off") }));
}

/** Syntax that Node cannot take away: enums, namespaces, parameter properties, `import =`. */
export function findUnerasable(sources: readonly Source[]): readonly Problem[] {
  return findNodes(sources, (report) => ({
    TSEnumDeclaration: report("an enum cannot be erased: use a union of strings"),
    TSParameterProperty: report("a parameter property cannot be erased"),
    TSImportEqualsDeclaration: report("import = cannot be erased"),
    TSModuleDeclaration: (node) => {
      const isAmbient = node.declare || node.kind === "global";
      if (!isAmbient) report("a namespace cannot be erased")(node);
    },
  }));
}

/** Code longer than a person reads in one go. Tests may be. */
export function findLongFiles(sources: readonly Source[]): readonly Problem[] {
  return sources.flatMap(({ path, text }) => {
    const lines = text.trimEnd().split("\n").length;
    if (isForTests(path) || lines <= MAX_LINES) return [];
    return [`${path}: has ${lines} lines, more than ${MAX_LINES}`];
  });
}

function isReExport(node: ESTree.Node): boolean {
  if (node.type === "ExportAllDeclaration") return true;
  return node.type === "ExportNamedDeclaration" && node.source !== null;
}
