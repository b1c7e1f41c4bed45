// `npm run bench:gate`: fails if a chunk costs the gateway more than it did when the baseline was
// written, in each of five rounds: one that does not ends it. With --write it writes the baseline anew.
import { readFile, writeFile } from "node:fs/promises";
import { runScenario } from "./run.ts";
import { wireGate } from "./scenarios/wire.ts";
import { fullSize } from "./size.ts";
import { median } from "./stats.ts";

/** CPU of a chunk, as its ratio to that of @grpc/grpc-js in the same round. */
type Baseline = { readonly cpuRatio: number };

/** How much of the baseline is noise on a shared machine. */
const TOLERANCE = 1.3;

const file = new URL("wire-baseline.json", import.meta.url);

const isWritten = process.argv.includes("--write");
const { cpuRatio } = JSON.parse(await readFile(file, "utf8")) as Baseline;
const limit = cpuRatio * TOLERANCE;
const scenario = wireGate(fullSize);
const ratios: number[] = [];
let hasPassed = false;
while (ratios.length < scenario.repeats && (isWritten || !hasPassed)) {
  const ratio = await measureRound();
  ratios.push(ratio);
  hasPassed ||= ratio <= limit;
}
const shown = ratios.map((ratio) => ratio.toFixed(2)).join(", ");
if (isWritten) {
  const baseline: Baseline = { cpuRatio: Number(median(ratios).toFixed(2)) };
  await writeFile(file, `{ "cpuRatio": ${baseline.cpuRatio} }\n`);
  process.stdout.write(`baseline ${baseline.cpuRatio}, of ${shown}\n`);
} else {
  process.stdout.write(`CPU a chunk, ratio to grpc-js: ${shown}; at most ${limit.toFixed(2)}\n`);
  if (!hasPassed) {
    process.stderr.write("The CPU of a chunk rose in each of the rounds.\n");
    process.exitCode = 1;
  }
}

async function measureRound(): Promise<number> {
  const { repeats } = await runScenario(
    { ...scenario, repeats: 1 },
    (line) => process.stderr.write(`${line}\n`),
    new AbortController().signal,
  );
  const [own, peer] = repeats[0] ?? [];
  return (own?.[0]?.value ?? 0) / (peer?.[0]?.value ?? 0);
}
