import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type LaunchOptions } from "playwright-core";

/**
 * Opens a headless browser. On Linux (x64) it is the Chromium of the package @sparticuz/chromium,
 * with its own copies of what the machine may lack; elsewhere the installed Chrome. PARLEY_BROWSER
 * names another executable. Playwright's own failovers keep it quiet, offline and without a sandbox.
 */
export function openBrowser(): Promise<Browser> {
  return chromium.launch(findBrowser());
}

function findBrowser(): LaunchOptions {
  const { PARLEY_BROWSER: named } = process.env;
  if (named) return { executablePath: named };
  if (process.platform !== "linux") return { channel: "chrome" };
  if (process.arch !== "x64") {
    throw new Error(`No Chromium comes for ${process.arch}: name one in PARLEY_BROWSER.`);
  }
  const folder = unpack();
  return { executablePath: join(folder, "chromium"), env: environment(folder) };
}

/**
 * Unpacks the package's archives once. It wants to unpack into the temporary folder and takes what
 * it finds there for whole, so that a process of its own gets one that nobody else sees.
 */
function unpack(): string {
  const entry = createRequire(import.meta.url).resolve("@sparticuz/chromium");
  const home = join(dirname(entry), "..");
  const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
  const folder = join(home, "../../.cache", `chromium-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const staging = mkdtempSync(`${folder}-`);
  const script = `const { default: chromium } = await import(${JSON.stringify(pathToFileURL(entry))});
    await chromium.executablePath();`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    // The runtime's name makes the package unpack its shared libraries too.
    env: { ...process.env, TMPDIR: staging, AWS_LAMBDA_JS_RUNTIME: "nodejs24.x" },
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`Chromium cannot be unpacked: ${stderr}`);
  writeFileSync(join(staging, "fonts.conf"), fontsConfig(join(folder, "fonts")));
  moveInto(staging, folder);
  return folder;
}

// Another process may have been quicker.
function moveInto(staging: string, folder: string): void {
  try {
    renameSync(staging, folder);
  } catch (error) {
    rmSync(staging, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
}

/** The machine's own libraries and fonts where it has them, the package's where it does not. */
function environment(folder: string): Record<string, string> {
  const complete = spawnSync(join(folder, "chromium"), ["--version"]).status === 0;
  const fontsKnown = existsSync("/etc/fonts/fonts.conf");
  const set = Object.entries(process.env).filter((entry): entry is [string, string] => !!entry[1]);
  return {
    ...Object.fromEntries(set),
    ...(!complete && { LD_LIBRARY_PATH: join(folder, "al2023/lib") }),
    ...(!fontsKnown && { FONTCONFIG_FILE: join(folder, "fonts.conf") }),
  };
}

function fontsConfig(fonts: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${fonts}</dir>
  <cachedir>${fonts}/cache</cachedir>
</fontconfig>
`;
}
