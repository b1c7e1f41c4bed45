// Writes the table of settings into README.md. With --check it changes nothing, and fails if the
// table is not what server/config/settings.ts says.
import { readFileSync, writeFileSync } from "node:fs";
import { describeSettings } from "../server/config/settings.ts";
import { settingsTable, withTable } from "./settings-table.ts";

const path = new URL("../README.md", import.meta.url);

function run(check: boolean): void {
  const readme = readFileSync(path, "utf8");
  const wanted = withTable(readme, settingsTable(describeSettings()));
  if (wanted === readme) return;
  if (check) {
    throw new Error(
      "README.md's table of settings is not what server/config/settings.ts says. Run: node tools/readme.ts",
    );
  }
  writeFileSync(path, wanted);
  console.log("made the table of settings in README.md");
}

try {
  run(process.argv.includes("--check"));
} catch (error) {
  const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
  console.error(
    missing ? "There is no README.md to hold the table of settings." : (error as Error).message,
  );
  process.exit(1);
}
