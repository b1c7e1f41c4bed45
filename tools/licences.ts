// Checks each package-lock.json: every package has a licence that it may have, and none an address.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findAddresses, findLicenceProblems, type Lockfile } from "./structure/lockfile.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const found = ["", "test/foreign/", "test/sqld/"].flatMap((folder) => {
  const lockfile: Lockfile = JSON.parse(readFileSync(`${root}${folder}package-lock.json`, "utf8"));
  const problems = [...findLicenceProblems(lockfile), ...findAddresses(lockfile)];
  console.log(`${folder}package-lock.json: ${Object.keys(lockfile.packages).length - 1} packages`);
  return problems.map((problem) => folder + problem);
});
for (const problem of found) console.error(problem);
if (found.length > 0) process.exit(1);
