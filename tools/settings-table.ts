import type { SettingDoc } from "../server/config/settings.ts";
import { cell, table } from "./api-docs/markdown.ts";

/** The lines of the README between which the table stands. */
export const TABLE_BEGIN = "<!-- settings -->";
/** The end of that place. */
export const TABLE_END = "<!-- /settings -->";

/** The settings as a Markdown table, in their own order. */
export function settingsTable(settings: readonly SettingDoc[]): string {
  const rows = settings.map(({ name, default: value, about }) => [
    `\`${name}\``,
    value === "" ? "–" : cell(`\`${value}\``),
    cell(about),
  ]);
  return table(["Setting", "Default", "What it does"], rows).join("\n");
}

const EXAMPLE_WIDTH = 100;

/**
 * The settings as a file for `CONFIG_FILE`: each with its words above it and its default behind a
 * "#", so that the file as it stands changes nothing.
 */
export function settingsExample(settings: readonly SettingDoc[]): string {
  const head = "Settings of Parley, for CONFIG_FILE. Take the # from a line to change it.";
  const blocks = settings
    .filter(({ name }) => name !== "CONFIG_FILE")
    .map(({ name, default: value, about }) => [
      ...wrap(about.replaceAll("`", "")),
      `#${name}=${/[\s#]/.test(value) ? JSON.stringify(value) : value}`,
    ]);
  return `${[wrap(head), ...blocks].map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

function wrap(text: string): readonly string[] {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const line = `${lines.at(-1)} ${word}`;
    if (line.length < EXAMPLE_WIDTH) lines[lines.length - 1] = line;
    else lines.push(` ${word}`);
  }
  return lines.map((line) => `#${line}`);
}

/**
 * The README with `content` between the two markers, all else untouched. Throws if it does not hold
 * each marker exactly once, the first above the second.
 */
export function withTable(readme: string, content: string): string {
  const [before, rest, ...more] = readme.split(TABLE_BEGIN);
  const [, after, ...further] = rest?.split(TABLE_END) ?? [];
  const misplaced = readme.split(TABLE_END).length !== 2 || more.length + further.length > 0;
  if (after === undefined || misplaced) {
    throw new Error(`README.md must hold the lines ${TABLE_BEGIN} and ${TABLE_END} once each.`);
  }
  return `${before}${TABLE_BEGIN}\n\n${content}\n\n${TABLE_END}${after}`;
}
