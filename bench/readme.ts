import { readFile, writeFile } from "node:fs/promises";

const BEGIN = "<!-- figures -->";
const END = "<!-- /figures -->";

/** Puts Markdown between the markers of the file. Throws if it has none. */
export async function writeFigures(file: URL, markdown: string): Promise<void> {
  const text = await readFile(file, "utf8");
  await writeFile(file, replaceFigures(text, markdown));
}

/**
 * Puts a section between the markers of the file, in the place of the one with its heading, or behind
 * the last one.
 */
export async function writeSection(file: URL, section: string): Promise<void> {
  const text = await readFile(file, "utf8");
  await writeFile(file, replaceSection(text, section));
}

/** The text with the section in the place of the one with its heading, or behind the last one. */
export function replaceSection(text: string, section: string): string {
  const [heading = ""] = section.split("\n", 1);
  const from = text.indexOf(`${heading}\n`);
  const end = text.indexOf(END);
  if (!heading.startsWith("### ") || end < 0) throw new Error(`no ${END}, or no heading`);
  if (from < 0) return `${text.slice(0, end)}${section}\n\n${text.slice(end)}`;
  const next = text.indexOf("\n### ", from);
  const to = next < 0 ? end : Math.min(next + 1, end);
  return `${text.slice(0, from)}${section}\n\n${text.slice(to)}`;
}

/** The text with `markdown` between its markers, in the place of what was there. */
export function replaceFigures(text: string, markdown: string): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`the file has no ${BEGIN} … ${END}`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${markdown}\n\n${text.slice(end)}`;
}
