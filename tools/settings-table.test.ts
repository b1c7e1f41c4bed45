import { describe, expect, it } from "vitest";
import { describeSettings, settings } from "../server/config/settings.ts";
import { settingsTable, withTable } from "./settings-table.ts";

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

describe("withTable", () => {
  const readme = "# Parley\n\n<!-- settings -->\nold\n<!-- /settings -->\n\nMore.\n";

  it("replaces what stands between the markers and nothing else", () => {
    expect(withTable(readme, "new")).toBe(
      "# Parley\n\n<!-- settings -->\n\nnew\n\n<!-- /settings -->\n\nMore.\n",
    );
  });

  it("changes nothing the second time", () => {
    const once = withTable(readme, "new $& $1");
    expect(withTable(once, "new $& $1")).toBe(once);
  });

  it.each([
    "no markers",
    "<!-- settings -->",
    "<!-- /settings -->",
    "<!-- /settings --> <!-- settings -->",
    `${readme}<!-- settings -->`,
    readme + readme,
  ])("refuses a README whose markers are not one pair: %j", (text) => {
    expect(() => withTable(text, "new")).toThrow("once each");
  });
});
