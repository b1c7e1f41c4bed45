import type { ESTree } from "vite";
import { type Problem, problemAt, type Source } from "./source.ts";

type Exported = { readonly name: string; readonly start: number };

/** What server/ exports without a docstring directly above. One of a function's overloads is enough. */
export function findUndocumented(sources: readonly Source[]): readonly Problem[] {
  const server = sources.filter(({ path }) => path.startsWith("server/"));
  const code = server.filter(({ path }) => !/\.test\.ts$/.test(path));
  return code.flatMap((source) => {
    const exported = exportsOf(source.program);
    const documented = new Set(
      exported.filter(({ start }) => hasDocstring(source, start)).map(({ name }) => name),
    );
    return exported
      .filter(({ name }) => !documented.has(name))
      .map(({ name, start }) =>
        problemAt(source, start, `${name} is exported without a docstring`),
      );
  });
}

function exportsOf(program: ESTree.Program): readonly Exported[] {
  // `export { a }` names what is declared elsewhere in the file: there the docstring stands.
  const later = program.body.flatMap((node) =>
    node.type === "ExportNamedDeclaration" && !node.source
      ? node.specifiers.map(({ local }) => ("name" in local ? local.name : ""))
      : [],
  );
  return program.body.flatMap((node) => {
    const isExport = node.type === "ExportNamedDeclaration";
    const declared = namesOf(isExport ? node.declaration : node);
    return declared
      .filter((name) => isExport || later.includes(name))
      .map((name) => ({ name, start: node.start }));
  });
}

function namesOf(node: ESTree.Node | null): readonly string[] {
  if (!node) return [];
  if (node.type === "VariableDeclaration") {
    return node.declarations.map(({ id }) => (id.type === "Identifier" ? id.name : "(a pattern)"));
  }
  return "id" in node && node.id?.type === "Identifier" ? [node.id.name] : [];
}

function hasDocstring({ comments, text }: Source, start: number): boolean {
  return comments.some(
    ({ type, value, end }) =>
      type === "Block" &&
      value.startsWith("*") &&
      value.replaceAll("*", "").trim() !== "" &&
      end <= start &&
      // A blank line between them would leave the comment to nobody.
      /^[^\S\n]*\n?[^\S\n]*$/.test(text.slice(end, start)),
  );
}
