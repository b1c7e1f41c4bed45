// Makes gen/ and docs/api.md of the contract in proto/. With --check it changes nothing, and fails
// if they are not what the contract makes them.
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
    console.log(wanted.has(path) ? `made ${path}` : `deleted ${path}`);
} else if (differences.length > 0) {
  console.error("These files are not what proto/ makes them. Run: npm run gen");
  for (const { path, problem } of differences) console.error(`  ${path} ${problem}`);
  process.exit(1);
}
