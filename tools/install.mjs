// Installs the packages of the lockfile if they are missing or out of date. Plain JavaScript: this
// file runs on the machine's own Node, all others on the Node that it installs.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const stamp = `${root}node_modules/.parley-installed`;
const wanted = createHash("sha256")
  .update(readFileSync(`${root}package-lock.json`))
  .digest("hex");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  console.log("Installing the packages of package-lock.json …");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  // Older versions of npm run every install script; onnxruntime-node's downloads unneeded files.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" };
  const options = { cwd: root, env, stdio: "inherit" };
  const done = npm
    ? spawnSync(process.execPath, [npm, ...args], options)
    : spawnSync("npm", args, { ...options, shell: process.platform === "win32" });
  if (done.status !== 0) {
    console.error("npm ci failed; the lines above say why.");
    process.exit(done.status ?? 1);
  }
  writeFileSync(stamp, wanted);
}
