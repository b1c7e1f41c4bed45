// Builds the demo page into web/dist if its sources have changed since the last build.
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const stamp = `${root}web/dist/.sources`;
const made = ["web/**/*", "gen/**/*", "package-lock.json"];
const left = ["web/dist/**", "**/*.test.ts"];

function hashSources(): string {
  const hash = createHash("sha256");
  const entries = globSync(made, { cwd: root, exclude: left, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  for (const path of files.map((file) => `${file.parentPath}/${file.name}`).sort()) {
    const source = readFileSync(path);
    hash.update(`${path.slice(root.length)}\0${source.length}\0`).update(source);
  }
  return hash.digest("hex");
}

const sources = hashSources();
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== sources) {
  console.log("Building the demo page …");
  const { build } = await import("vite");
  await build({ root: `${root}web`, logLevel: "warn" });
  writeFileSync(stamp, sources);
}
