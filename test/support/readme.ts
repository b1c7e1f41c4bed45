import { readFileSync } from "node:fs";

/** An example of the documentation. */
export type Example = {
  /** What the mark `test=…` calls it. */
  readonly name: string;
  readonly language: string;
  readonly code: string;
};

const ROOT = new URL("../../", import.meta.url);

/** The code blocks of a page that bear a mark: ```sh test=name. */
export function readExamples(page = "README.md"): readonly Example[] {
  const text = readFileSync(new URL(page, ROOT), "utf8");
  const blocks = text.matchAll(/^```(\w+) test=([\w-]+)\n(.*?)^```$/gms);
  return Array.from(blocks, ([, language = "", name = "", code = ""]) => ({
    name,
    language,
    code,
  }));
}
