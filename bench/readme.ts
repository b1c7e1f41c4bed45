import { readFile, writeFile } from "node:fs/promises";

const BEGIN = "<!-- figures -->";
const END = "<!-- /figures -->";

/** Puts Markdown between the markers of the file. Throws if it has none. */
export async function writeFigures(file: URL, markdown: string): Promise<void> {
  const text = await readFile(file, "utf8");
  await writeFile(file, replaceFigures(text, markdown));
}

/** The text with `markdown` between its markers, in the place of what was there. */
export function replaceFigures(text: string, markdown: string): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`the file has no ${BEGIN} … ${END}`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${markdown}\n\n${text.slice(end)}`;
}
