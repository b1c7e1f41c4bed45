// Writes what is made of the settings: the tables in README.md and docs/security.md, and
// config.env.example. With --check it changes nothing, and fails if one is not what
// server/config/settings.ts says.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describeSettings, type SettingDoc } from "../server/config/settings.ts";
import { settingsExample, settingsTable, withTable } from "./settings-table.ts";

/** A file that is made of the settings, or holds something that is. */
type Document = {
  readonly path: string;
  /** What is made, for messages. */
  readonly what: string;
  readonly make: (present: string, settings: readonly SettingDoc[]) => string;
};

/** Settings that bound what others may do, or say who may do it. */
const securitySettings =
  /^(HOST|AUTH_MODE|ALLOWED_HOSTS|CORS_ORIGINS|TRUSTED_PROXIES|MAX_.*|.*_TIMEOUT)$/;

const documents: readonly Document[] = [
  {
    path: "README.md",
    what: "the table of settings in README.md",
    make: (present, settings) => withTable(present, settingsTable(settings)),
  },
  {
    path: "docs/security.md",
    what: "the table of limits in docs/security.md",
    make: (present, settings) =>
      withTable(present, settingsTable(settings.filter(({ name }) => securitySettings.test(name)))),
  },
  {
    path: "config.env.example",
    what: "config.env.example",
    make: (_present, settings) => settingsExample(settings),
  },
];

function run(check: boolean): void {
  const settings = describeSettings();
  for (const { path, what, make } of documents) {
    const url = new URL(`../${path}`, import.meta.url);
    const present = existsSync(url) ? readFileSync(url, "utf8") : "";
    const wanted = make(present, settings);
    if (wanted === present) continue;
    if (check) throw stale(what);
    writeFileSync(url, wanted);
    console.log(`made ${what}`);
  }
}

function stale(what: string): Error {
  return new Error(`${what} is not what server/config/settings.ts says. Run: node tools/readme.ts`);
}

try {
  run(process.argv.includes("--check"));
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
