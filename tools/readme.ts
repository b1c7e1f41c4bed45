// Writes what follows from the settings: the tables in README.md and docs/security.md, and
// config.env.example. With --check it changes nothing, and fails if one of them is out of date.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describeSettings, type SettingDoc } from "../server/config/settings.ts";
import { withBlock } from "./marked-block.ts";
import { settingsExample, settingsTable } from "./settings-table.ts";

/** A file that is generated from the settings, or holds something that is. */
type Document = {
  readonly path: string;
  /** What is generated, for messages. */
  readonly what: string;
  readonly make: (present: string, settings: readonly SettingDoc[]) => string;
};

/** Settings that limit clients, or say who may be one. */
const securitySettings =
  /^(HOST|AUTH_MODE|USE_TLS|TLS_.*|ALLOWED_HOSTS|CORS_ORIGINS|TRUSTED_PROXIES|MAX_.*|RATE_.*|QUOTA_.*|.*_TIMEOUT)$/;

const documents: readonly Document[] = [
  {
    path: "README.md",
    what: "the table of settings in README.md",
    make: (present, settings) => withBlock(present, "settings", settingsTable(settings)),
  },
  {
    path: "docs/security.md",
    what: "the table of limits in docs/security.md",
    make: (present, settings) =>
      withBlock(
        present,
        "settings",
        settingsTable(settings.filter(({ name }) => securitySettings.test(name))),
      ),
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
    console.log(`wrote ${what}`);
  }
}

function stale(what: string): Error {
  return new Error(`${what} is out of date. Run: npm run gen`);
}

try {
  run(process.argv.includes("--check"));
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
