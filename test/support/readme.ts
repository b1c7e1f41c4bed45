import { readFileSync } from "node:fs";

/** An example of the README. */
export type Example = {
  /** What the mark `test=…` calls it. */
  readonly name: string;
  readonly language: string;
  readonly code: string;
};

const ROOT = new URL("../../", import.meta.url);

/** The README's code blocks that bear a mark: ```sh test=name. */
export function readExamples(): readonly Example[] {
  const readme = readFileSync(new URL("README.md", ROOT), "utf8");
  const blocks = readme.matchAll(/^```(\w+) test=([\w-]+)\n(.*?)^```$/gms);
  return Array.from(blocks, ([, language = "", name = "", code = ""]) => ({
    name,
    language,
    code,
  }));
}
