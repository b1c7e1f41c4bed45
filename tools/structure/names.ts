import { posix } from "node:path";
import type { ESTree, VisitorObject } from "vite";
import { type Problem, problemAt, type Source, visit } from "./source.ts";

/** Words that say nothing of what a thing does. */
const EMPTY_WORDS = /^(manager|helper|util|impl|opt|cfg)s?$/i;
const WORDS = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g;

/**
 * Files, and names declared in them, with words that say nothing; types with an I in front. What
 * others call their things, in imports and object keys, is theirs.
 */
export function findEmptyNames(sources: readonly Source[]): readonly Problem[] {
  return sources.flatMap((source) => {
    const file = posix.basename(source.path, ".ts");
    const problems = isEmpty(file) ? [`${source.path}: the file's name says nothing`] : [];
    const check = (node: ESTree.Node | null | undefined) => {
      for (const { name, start } of namesIn(node)) {
        if (isEmpty(name)) problems.push(problemAt(source, start, `the name ${name} says nothing`));
      }
    };
    visit(
      source,
      declarations(check, ({ name, start }) => {
        if (/^I[A-Z][a-z]/.test(name))
          problems.push(problemAt(source, start, `${name}: no I in front`));
      }),
    );
    return problems;
  });
}

type Name = { readonly name: string; readonly start: number };

function declarations(
  check: (node: ESTree.Node | null | undefined) => void,
  checkType: (name: Name) => void,
): VisitorObject {
  const checkFunction = ({ id, params }: { id?: ESTree.Node | null; params: ESTree.Node[] }) => {
    for (const node of [id, ...params]) check(node);
  };
  const checkBoth = ({ id }: { id: ESTree.BindingIdentifier | null }) => {
    check(id);
    if (id) checkType(id);
  };
  return {
    VariableDeclarator: ({ id }) => check(id),
    FunctionDeclaration: checkFunction,
    FunctionExpression: checkFunction,
    TSDeclareFunction: checkFunction,
    ArrowFunctionExpression: checkFunction,
    ClassDeclaration: checkBoth,
    TSTypeAliasDeclaration: checkBoth,
    TSInterfaceDeclaration: checkBoth,
    MethodDefinition: ({ key }) => check(key),
    PropertyDefinition: ({ key }) => check(key),
    TSPropertySignature: ({ key }) => check(key),
    TSMethodSignature: ({ key }) => check(key),
  };
}

function isEmpty(name: string): boolean {
  return (name.match(WORDS) ?? []).some((word) => EMPTY_WORDS.test(word));
}

/** The names that a pattern declares, or the name itself. */
function namesIn(node: ESTree.Node | null | undefined): readonly Name[] {
  switch (node?.type) {
    case "Identifier":
      return [node];
    case "ObjectPattern":
      return node.properties.flatMap((part) =>
        namesIn(part.type === "Property" ? part.value : part),
      );
    case "ArrayPattern":
      return node.elements.flatMap(namesIn);
    case "AssignmentPattern":
      return namesIn(node.left);
    case "RestElement":
      return namesIn(node.argument);
    case "TSParameterProperty":
      return namesIn(node.parameter);
    default:
      return [];
  }
}
