import type { Problem } from "./source.ts";

/** The part of package-lock.json that is read here. */
export type Lockfile = {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly license?: string;
        readonly resolved?: string;
        readonly link?: boolean;
        readonly dev?: boolean;
        readonly devOptional?: boolean;
      }
    >
  >;
};

/** Licences that a package may have: they ask for no more than to be named. */
const permissive: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "Python-2.0",
  "Unlicense",
  "Zlib",
]);

/** Licences of tools that run here unchanged, and are no part of the gateway. */
const forTools: ReadonlySet<string> = new Set([...permissive, "MPL-2.0"]);

/**
 * Old tools of s3rver whose licence stands in their text alone, where npm does not find it. Each text was
 * read.
 */
const statedInText: Readonly<Record<string, string>> = {
  busboy: "MIT",
  dicer: "MIT",
  "humanize-number": "MIT",
  only: "MIT",
  streamsearch: "MIT",
};

/** Packages without a licence that the gateway, or a tool of its developers, may have. */
export function findLicenceProblems({ packages }: Lockfile): readonly Problem[] {
  return Object.entries(packages).flatMap(([path, { license: stated, link, dev, devOptional }]) => {
    if (path === "" || link) return [];
    const isTool = dev || devOptional;
    const license = stated ?? statedBy(path, isTool);
    if (license !== undefined && satisfies(license, isTool ? forTools : permissive)) return [];
    const use = isTool ? "a development dependency" : "a dependency of the gateway";
    return [`${path}: ${use} with the licence ${license ?? "(none stated)"}, which is not allowed`];
  });
}

function statedBy(path: string, isTool = false): string | undefined {
  const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
  return isTool ? statedInText[name] : undefined;
}

/** Packages whose address stands in the lockfile: each machine knows its own registry. */
export function findAddresses({ packages }: Lockfile): readonly Problem[] {
  return Object.entries(packages)
    .filter(([, { resolved }]) => resolved !== undefined && /^https?:/.test(resolved))
    .map(
      ([path]) => `${path}: has an address; npm's omit-lockfile-registry-resolved leaves it out`,
    );
}

/** Whether an SPDX expression can be met. One that nests AND and OR is refused, to be looked at. */
function satisfies(expression: string, allowed: ReadonlySet<string>): boolean {
  const text = expression.replace(/^\((.*)\)$/, "$1");
  const isAllowed = (name: string) => allowed.has(name);
  return text.split(" OR ").some(isAllowed) || text.split(" AND ").every(isAllowed);
}
