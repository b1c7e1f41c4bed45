import { parseEnv } from "node:util";
import { describe, expect, it } from "vitest";
import { readConfig } from "../server/config/config.ts";
import { describeSettings, settings } from "../server/config/settings.ts";
import { settingsExample, settingsTable } from "./settings-table.ts";

describe("settingsTable", () => {
  it("has one row for each setting, in the order of the schema", () => {
    const rows = settingsTable(describeSettings()).split("\n").slice(2);
    const names = rows.map((row) => row.match(/^\| `(\w+)` \|/)?.[1]);
    expect(names).toEqual(Object.keys(settings.shape));
  });

  it("shows a setting without a default as a dash", () => {
    const table = settingsTable([{ name: "A", default: "", about: "What." }]);
    expect(table).toContain("| `A` | – | What. |");
  });

  it("keeps a bar in the text from ending the cell", () => {
    const table = settingsTable([{ name: "A", default: "x|y", about: "`a|b` or\nc" }]);
    expect(table).toContain("| `A` | `x\\|y` | `a\\|b` or c |");
  });
});

describe("settingsExample", () => {
  const example = settingsExample(describeSettings());

  it("changes nothing as it stands, and nothing where every default is taken in", () => {
    expect(parseEnv(example)).toEqual({});
    const every = parseEnv(example.replaceAll(/^#(?=[A-Z])/gm, ""));
    const names = Object.keys(settings.shape).filter((name) => name !== "CONFIG_FILE");
    expect(Object.keys(every).sort()).toEqual(names.sort());
    expect(readConfig(every)).toEqual(readConfig({}));
  });

  it("has lines of 100 characters at most but for values, and no marks of Markdown", () => {
    const words = example.split("\n").filter((line) => line.startsWith("# "));
    expect(words.filter((line) => line.length > 100 || line.includes("`"))).toEqual([]);
  });
});
