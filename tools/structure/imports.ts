import { posix } from "node:path";
import type { ESTree } from "vite";
import { type Source, visit } from "./source.ts";

/** One place where a file names another file or a package. */
export type Import = {
  /** As written: `../core/abort.ts`, `hono/body-limit`. */
  readonly specifier: string;
  /** The path under the root that a relative specifier leads to. */
  readonly path?: string;
  /** Whether only types are taken. */
  readonly typeOnly: boolean;
  /** Offset of the import in the text. */
  readonly start: number;
};

/**
 * Everything that a file imports: static, dynamic and in types; what it resolves or requires; and
 * the TypeScript files that it names by `new URL("./x.ts", …)`, to run them in a worker or process.
 */
export function importsOf(source: Source): readonly Import[] {
  const found: Import[] = [];
  const add = (name: ESTree.Node | null | undefined, typeOnly = false) => {
    const specifier = textOf(name);
    if (name && specifier !== undefined) {
      found.push({ specifier, typeOnly, start: name.start, ...pathOf(source.path, specifier) });
    }
  };
  visit(source, {
    ImportDeclaration: (node) => add(node.source, takesTypesOnly(node)),
    ExportNamedDeclaration: (node) => add(node.source, node.exportKind === "type"),
    ExportAllDeclaration: (node) => add(node.source, node.exportKind === "type"),
    ImportExpression: (node) => add(node.source),
    TSImportType: (node) => add(node.source, true),
    TSExternalModuleReference: (node) => add(node.expression),
    CallExpression: (node) => {
      if (resolvesModules(node.callee)) add(node.arguments[0]);
    },
    NewExpression: (node) => {
      const [first] = node.arguments;
      if (isNamed(node.callee, "URL") && textOf(first)?.endsWith(".ts")) add(first);
    },
  });
  return found.sort((a, b) => a.start - b.start);
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

function pathOf(importer: string, specifier: string): { path?: string } {
  if (!/^\.\.?\//.test(specifier)) return {};
  return { path: posix.join(posix.dirname(importer), specifier) };
}

function takesTypesOnly({ importKind, specifiers }: ESTree.ImportDeclaration): boolean {
  const isType = (specifier: ESTree.ImportDeclarationSpecifier) =>
    specifier.type === "ImportSpecifier" && specifier.importKind === "type";
  return importKind === "type" || (specifiers.length > 0 && specifiers.every(isType));
}
