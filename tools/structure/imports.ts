import { posix } from "node:path";
import type { ESTree } from "vite";
import { findNodes, isForTests, type Problem, type Source, visit } from "./source.ts";

/** One place where a file names another file or a package. */
export type Import = {
  /** As written: `../core/abort.ts`, `hono/body-limit`. */
  readonly specifier: string;
  /** Offset of the import in the text. */
  readonly start: number;
};

/** Everything that a file imports: static, dynamic and in types; and what it resolves or requires. */
export function importsOf(source: Source): readonly Import[] {
  const found: Import[] = [];
  const add = (name: ESTree.Node | null | undefined) => {
    const specifier = textOf(name);
    if (name && specifier !== undefined) found.push({ specifier, start: name.start });
  };
  visit(source, {
    ImportDeclaration: (node) => add(node.source),
    ExportNamedDeclaration: (node) => add(node.source),
    ExportAllDeclaration: (node) => add(node.source),
    ImportExpression: (node) => add(node.source),
    TSImportType: (node) => add(node.source),
    TSExternalModuleReference: (node) => add(node.expression),
    CallExpression: (node) => {
      if (resolvesModules(node.callee)) add(node.arguments[0]);
    },
  });
  return found.sort((a, b) => a.start - b.start);
}

/**
 * Files of server/ that name another package's code by `new URL("../x.ts", …)`, as one starts a worker
 * or a process: no import, so dependency-cruiser does not see it.
 */
export function findForeignWorkers(sources: readonly Source[]): readonly Problem[] {
  const code = sources.filter(({ path }) => path.startsWith("server/") && !isForTests(path));
  return code.flatMap((source) =>
    findNodes([source], (report) => ({
      NewExpression: (node) => {
        const name = isNamed(node.callee, "URL") ? textOf(node.arguments[0]) : undefined;
        if (!name?.endsWith(".ts")) return;
        const target = posix.join(posix.dirname(source.path), name);
        if (packageFolderOf(target) === packageFolderOf(source.path)) return;
        report(`starts ${target}, which belongs to another package`)(node);
      },
    })),
  );
}

/** The package that a specifier names: `hono` of `hono/body-limit`; none for files and Node. */
export function packageOf(specifier: string): string | undefined {
  if (/^[./]|^(node|file|https?|data):/.test(specifier)) return undefined;
  return specifier.match(/^(@[^/]+\/)?[^/]+/)?.[0];
}

/** The text of a literal, if it is one. */
export function textOf(node: ESTree.Node | null | undefined): string | undefined {
  return node?.type === "Literal" && typeof node.value === "string" ? node.value : undefined;
}

/** `require`, `require.resolve` and `import.meta.resolve`; not `Promise.resolve`. */
function resolvesModules(callee: ESTree.Node): boolean {
  if (callee.type !== "MemberExpression") return isNamed(callee, "require");
  const { object, property } = callee;
  return (
    isNamed(property, "resolve") && (object.type === "MetaProperty" || isNamed(object, "require"))
  );
}

function isNamed(node: ESTree.Node, name: string): boolean {
  return node.type === "Identifier" && node.name === name;
}

function packageFolderOf(path: string): string {
  return path.split("/").slice(0, 2).join("/");
}
