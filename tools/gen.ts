// Generates gen/ and docs/api.md from the contract in proto/. With --check it changes nothing, and
// fails if they are out of date.
import { fileURLToPath } from "node:url";
import { findDifferences, makeGenerated, writeGenerated } from "./generated.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const check = process.argv.includes("--check");

const wanted = await makeGenerated(root).catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
const differences = await (check ? findDifferences : writeGenerated)(root, wanted);
if (!check) {
  for (const { path } of differences)
    console.log(wanted.has(path) ? `wrote ${path}` : `deleted ${path}`);
} else if (differences.length > 0) {
  console.error("Generated files are out of date. Run: npm run gen");
  for (const { path, problem } of differences) console.error(`  ${path} ${problem}`);
  process.exit(1);
}
