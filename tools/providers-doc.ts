// Writes the tables of docs/providers.md that follow from the code. With --check it changes nothing,
// and fails if they are out of date. With --measure it also measures the cost of a failover, which
// takes a minute.
import { readFileSync, writeFileSync } from "node:fs";
import { outcomeRules } from "../server/core/outcomes.ts";
import { withBlock } from "./marked-block.ts";
import { faultTable } from "./providers-doc-faults.ts";
import { measureFailovers } from "./providers-doc-measure.ts";
import { tierTables } from "./providers-doc-tiers.ts";

const path = new URL("../docs/providers.md", import.meta.url);

const breakers = {
  counts: "counts it",
  opens: "opens at once",
  ignores: "ignores it",
  success: "takes it for a success",
};

/** What follows from each outcome of a call. */
function outcomeTable(): string {
  const rows = Object.entries(outcomeRules).map(
    ([kind, { meaning, callsNext, breaker, client }]) =>
      `| \`${kind}\` | ${meaning} | ${callsNext ? "yes" : "no"} | ${breakers[breaker]} | ${client} |`,
  );
  const head = "| Outcome | Meaning | Next tier | Circuit breaker | The client hears |";
  return [head, "| --- | --- | --- | --- | --- |", ...rows].join("\n");
}

async function run(check: boolean, measure: boolean): Promise<void> {
  const text = readFileSync(path, "utf8");
  let wanted = withBlock(text, "tiers", tierTables());
  wanted = withBlock(wanted, "outcomes", outcomeTable());
  wanted = withBlock(wanted, "faults", await faultTable());
  if (measure && !check) {
    const today = new Date().toISOString().slice(0, 10);
    wanted = withBlock(wanted, "failovers", await measureFailovers(today));
  }
  if (wanted === text) return;
  if (check) {
    throw new Error(
      "docs/providers.md's tables are not what the code says. Run: node tools/providers-doc.ts",
    );
  }
  writeFileSync(path, wanted);
  console.log("wrote the tables of docs/providers.md");
}

try {
  await run(process.argv.includes("--check"), process.argv.includes("--measure"));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
