import { isBuiltin } from "node:module";
import { type Import, importsOf, packageOf, textOf } from "./imports.ts";
import type { PackagePlace } from "./package-places.ts";
import { isAt, isForTests, type Problem, problemAt, type Source, visit } from "./source.ts";

/** The packages of package.json, and where each may be named. */
export type PackageRules = {
  /** The keys of package.json's `dependencies`. */
  readonly dependencies: readonly string[];
  readonly places: Readonly<Record<string, PackagePlace>>;
};

/**
 * Packages that server/ or web/src name where they may not; SDKs that more than one file names; and
 * dependencies that nothing names or that the table does not know.
 */
export function findPackageProblems(
  sources: readonly Source[],
  { dependencies, places }: PackageRules,
): readonly Problem[] {
  const code = sources.filter(
    ({ path }) => isAt(path, ["server/", "web/src/"]) && !isForTests(path),
  );
  return [
    ...code.flatMap((source) => findMisplaced(source, places)),
    ...Object.entries(places).flatMap(([name, place]) => countFiles(name, place, code)),
    ...dependencies
      .filter((name) => !(name in places))
      .map((name) => `package.json: ${name} has no place in tools/structure/package-places.ts`),
  ];
}

function findMisplaced(source: Source, places: PackageRules["places"]): readonly Problem[] {
  return importsOf(source).flatMap((taken: Import) => {
    const name = packageOf(taken.specifier);
    if (name === undefined || isBuiltin(taken.specifier)) return [];
    const within = places[name]?.within;
    if (within && isAt(source.path, within)) return [];
    const reason = within
      ? `stays within ${within.join(", ")}`
      : "has no place in the table of packages";
    return [problemAt(source, taken.start, `imports ${taken.specifier}: ${name} ${reason}`)];
  });
}

function countFiles(
  name: string,
  { oneFile }: PackagePlace,
  code: readonly Source[],
): readonly Problem[] {
  const files = code.filter((source) => names(source, name)).map(({ path }) => path);
  if (files.length === 0) return [`package.json: nothing imports ${name}`];
  if (!oneFile || files.length === 1) return [];
  return [`${name} is named in ${files.length} files, not one: ${files.join(", ")}`];
}

/** Whether any text in the file is the package or something in it: SDKs are also found by path. */
function names(source: Source, name: string): boolean {
  let found = false;
  visit(source, {
    Literal: (node) => {
      const text = textOf(node);
      if (text === name || text?.startsWith(`${name}/`)) found = true;
    },
  });
  return found;
}
