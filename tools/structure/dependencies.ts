import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import extractOptions from "dependency-cruiser/config-utl/extract-depcruise-options";
import type { Problem } from "./source.ts";

// By require, as dependency-cruiser gets it: the same class in Node and in Vitest.
const require = createRequire(import.meta.url);
const { Visitor }: typeof import("@swc/core/Visitor.js") = require("@swc/core/Visitor.js");

const CONFIG = fileURLToPath(new URL("../../.dependency-cruiser.mjs", import.meta.url));

/** What dependency-cruiser found in a folder. */
export type Dependencies = {
  /** Files that were read, under the folder. */
  readonly read: readonly string[];
  /** Imports that break a rule of `.dependency-cruiser.mjs`. */
  readonly problems: readonly Problem[];
};

/** Reads the imports of all code under the folders of `root`, and checks them against the rules. */
export async function checkDependencies(
  root: string,
  folders: readonly string[],
): Promise<Dependencies> {
  readUsingDeclarations();
  const options = await extractOptions(CONFIG);
  const { output } = await cruise([...folders], { ...options, baseDir: root });
  if (typeof output === "string") throw new Error("dependency-cruiser gave a text, not a result");
  return { read: output.modules.map(({ source }) => source), problems: problemsOf(output) };
}

/** The files that dependency-cruiser can read and git tracks, or would if they were added. */
export function listCode(root: string): readonly string[] {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  return execFileSync("git", args, { cwd: root, encoding: "utf8" })
    .split("\0")
    .filter((path) => /\/.*\.[cm]?[jt]s$/.test(path) && !path.endsWith(".d.ts"))
    .filter((path) => existsSync(join(root, path)));
}

/** Files that are listed and were not read: without them, no finding would mean nothing. */
export function findUnread(listed: readonly string[], read: readonly string[]): readonly Problem[] {
  const known = new Set(read);
  return listed.filter((path) => !known.has(path)).map((path) => `${path}: was not read`);
}

function problemsOf({ summary }: ICruiseResult): readonly Problem[] {
  const comments = new Map(
    (summary.ruleSetUsed?.forbidden ?? []).map(({ name, comment }) => [name, comment]),
  );
  return summary.violations.map(({ from, to, rule, cycle }) => {
    const way = cycle ? cycle.map(({ name }) => name).join(" → ") : to;
    return `${from} → ${way}: ${rule.name}: ${comments.get(rule.name) ?? ""}`;
  });
}

/** swc's visitor, which dependency-cruiser extends, throws at `using` declarations. */
function readUsingDeclarations(): void {
  const { prototype } = Visitor;
  if (Object.hasOwn(prototype, "readsUsing")) return;
  const visitStatement = prototype.visitStatement;
  Object.assign(prototype, {
    readsUsing: true,
    visitStatement(this: typeof prototype, statement: Parameters<typeof visitStatement>[0]) {
      if ((statement.type as string) !== "UsingDeclaration") {
        return visitStatement.call(this, statement);
      }
      const { decls } = statement as unknown as {
        decls: Parameters<typeof prototype.visitVariableDeclarators>[0];
      };
      this.visitVariableDeclarators(decls);
      return statement;
    },
  });
}
