import type { ESTree } from "vite";
import { textOf } from "./imports.ts";
import { findNodes, type Problem, type Source, visit } from "./source.ts";

/** The one file of server/ that reads the environment. */
const ENVIRONMENT_READER = "server/config/config.ts";

/** Code of server/ and web/src that reads the environment, beside the one file that may. */
export function findEnvironmentReads(sources: readonly Source[]): readonly Problem[] {
  const code = sources.filter(
    ({ path }) => /^(server|web\/src)\//.test(path) && !path.endsWith(".test.ts"),
  );
  return findNodes(
    code.filter(({ path }) => path !== ENVIRONMENT_READER),
    (report) => {
      const refuse = report(`the environment is read in ${ENVIRONMENT_READER} alone`);
      return {
        MemberExpression: (node) => {
          if (keyOf(node) === "env" && isProcess(node.object)) refuse(node);
        },
        VariableDeclarator: (node) => {
          if (isProcess(node.init) && takes(node.id, "env")) refuse(node);
        },
        ImportDeclaration: (node) => {
          if (importsEnv(node)) refuse(node);
        },
      };
    },
  );
}

/** Settings that the file never takes out of the environment that was read. */
export function findUnusedSettings(names: readonly string[], reader: Source): readonly Problem[] {
  const used = new Set<string | undefined>();
  visit(reader, {
    MemberExpression: (node) => used.add(keyOf(node)),
    Property: ({ key }) => used.add(key.type === "Identifier" ? key.name : textOf(key)),
  });
  return names
    .filter((name) => !used.has(name))
    .map((name) => `${reader.path}: never uses the setting ${name}`);
}

function isProcess(node: ESTree.Node | null): boolean {
  if (node?.type === "Identifier") return node.name === "process";
  return node?.type === "MemberExpression" && keyOf(node) === "process";
}

function keyOf({ property, computed }: ESTree.MemberExpression): string | undefined {
  if (!computed && property.type === "Identifier") return property.name;
  return textOf(property);
}

function takes(pattern: ESTree.Node, name: string): boolean {
  if (pattern.type !== "ObjectPattern") return false;
  return pattern.properties.some(
    (property) =>
      property.type === "Property" &&
      property.key.type === "Identifier" &&
      property.key.name === name,
  );
}

function importsEnv({ source, specifiers }: ESTree.ImportDeclaration): boolean {
  if (!/^(node:)?process$/.test(source.value)) return false;
  return specifiers.some(
    (specifier) =>
      specifier.type === "ImportSpecifier" &&
      "name" in specifier.imported &&
      specifier.imported.name === "env",
  );
}
