import type { SettingDoc } from "../server/config/settings.ts";
import { cell, table } from "./api-docs/markdown.ts";

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
 * The settings as a file for `CONFIG_FILE`: each with its description above it and its default
 * commented out, so that the file changes nothing until it is edited.
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
