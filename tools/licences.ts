// Checks package-lock.json: every package has a licence that it may have, and none an address.
import lockfile from "../package-lock.json" with { type: "json" };
import { findAddresses, findLicenceProblems } from "./structure/lockfile.ts";

const found = [...findLicenceProblems(lockfile), ...findAddresses(lockfile)];
for (const problem of found) console.error(problem);
if (found.length > 0) process.exit(1);
console.log(
  `${Object.keys(lockfile.packages).length - 1} packages, each with a licence it may have.`,
);
