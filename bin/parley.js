#!/usr/bin/env -S node --max-semi-space-size=16
// The program of the npm package. It runs on any Node, so that it can say which one is needed.
import { readFileSync } from "node:fs";

const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const [needed] = /\d+(\.\d+)*/.exec(engines.node);
const parts = (version) => version.split(".").map(Number);
const [major, minor] = parts(process.versions.node);
const [neededMajor, neededMinor = 0] = parts(needed);

if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
  process.stderr.write(
    `Parley needs Node ${needed} or newer; this is Node ${process.versions.node}.\n` +
      "Install a newer one, or run: npx --package=node@24 --package=parley parley\n",
  );
  process.exit(1);
}
const [command = ""] = process.argv.slice(2);
const commands = ["data", "release", "token"];
if (commands.includes(command)) {
  // The command finds its own arguments where npm's scripts put them.
  process.argv.splice(2, 1);
  await import(`../server/${command}.js`);
} else {
  await import("../server/main.js");
}
