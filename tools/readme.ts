// Writes the table of settings into README.md, and config.env.example. With --check it changes
// nothing, and fails if they are not what server/config/settings.ts says.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describeSettings } from "../server/config/settings.ts";
import { settingsExample, settingsTable, withTable } from "./settings-table.ts";

const readmePath = new URL("../README.md", import.meta.url);
const examplePath = new URL("../config.env.example", import.meta.url);

function run(check: boolean): void {
  const settings = describeSettings();
  const readme = readFileSync(readmePath, "utf8");
  const example = existsSync(examplePath) ? readFileSync(examplePath, "utf8") : "";
  const wantedReadme = withTable(readme, settingsTable(settings));
  const wantedExample = settingsExample(settings);
  if (wantedReadme !== readme) {
    if (check) throw stale("README.md's table of settings");
    writeFileSync(readmePath, wantedReadme);
    console.log("made the table of settings in README.md");
  }
  if (wantedExample !== example) {
    if (check) throw stale("config.env.example");
    writeFileSync(examplePath, wantedExample);
    console.log("made config.env.example");
  }
}

function stale(what: string): Error {
  return new Error(`${what} is not what server/config/settings.ts says. Run: node tools/readme.ts`);
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
