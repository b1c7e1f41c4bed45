import { parseArgs } from "node:util";
import { writeFigures, writeSection } from "./readme.ts";
import { describeMachine, renderResult } from "./report.ts";
import { runScenario } from "./run.ts";
import { agent } from "./scenarios/agent.ts";
import { analysis } from "./scenarios/analysis.ts";
import { bargeIn } from "./scenarios/barge-in.ts";
import { cluster } from "./scenarios/cluster.ts";
import { collect } from "./scenarios/collect.ts";
import { doors } from "./scenarios/doors.ts";
import { firstAudio } from "./scenarios/first-audio.ts";
import { localVoice } from "./scenarios/local-voice.ts";
import { paced } from "./scenarios/paced.ts";
import { pipeline } from "./scenarios/pipeline.ts";
import { resume } from "./scenarios/resume.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { storage } from "./scenarios/storage.ts";
import { protocols, unpaced } from "./scenarios/unpaced.ts";
import { wire } from "./scenarios/wire.ts";
import { fullSize, quickSize, type Size } from "./size.ts";

/** Every scenario by the name that the command line knows it by, in the order in which they run. */
const scenarios: Readonly<Record<string, (size: Size) => Scenario | readonly Scenario[]>> = {
  unpaced,
  protocols,
  paced,
  "barge-in": bargeIn,
  cluster,
  "first-audio": firstAudio,
  doors,
  pipeline,
  collect,
  agent,
  storage,
  resume,
  "local-voice": localVoice,
  analysis,
  wire,
};

const help = `Usage: npm run bench -- [--quick] [--write] [SCENARIO ...]

  SCENARIO  one or more of ${Object.keys(scenarios).join(", ")}; all of them if none is named
  --quick   a short run that shows that the bench works; its figures mean nothing
  --write   also writes the tables into bench/README.md, those of the named scenarios alone
`;

const readme = new URL("README.md", import.meta.url);

type Run = {
  /** All of them if none is named. */
  readonly names: readonly string[];
  readonly size: Size;
  /** Whether the tables go into the README. */
  readonly write: boolean;
};

/**
 * Runs the scenarios and prints each table as it is done. Those of named scenarios are written at once,
 * and say when they were measured, and where; all together replace what was there.
 */
async function run({ names, size, write }: Run, signal: AbortSignal): Promise<void> {
  const begun = performance.now();
  const onProgress = (line: string) => {
    const seconds = Math.round((performance.now() - begun) / 1000);
    process.stderr.write(`${String(seconds).padStart(3)} s  ${line}\n`);
  };
  const machine = describeMachine();
  const sections = [machine];
  process.stdout.write(`${machine}\n\n`);
  for (const [name, create] of Object.entries(scenarios)) {
    if (names.length > 0 && !names.includes(name)) continue;
    for (const scenario of [create(size)].flat()) {
      const section = renderResult(await runScenario(scenario, onProgress, signal));
      process.stdout.write(`${section}\n\n`);
      sections.push(section);
      if (write && names.length > 0) {
        await writeSection(readme, section.replace("\n\n", `\n\n${machine}\n\n`));
      }
    }
  }
  if (write && names.length === 0) await writeFigures(readme, sections.join("\n\n"));
}

const stopped = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => stopped.abort(new Error("stopped")));
}

const { values, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const unknown = names.filter((name) => !Object.hasOwn(scenarios, name));
if (values.help) {
  process.stdout.write(help);
} else if (unknown.length > 0) {
  process.stderr.write(`There is no scenario ${unknown[0]}.\n\n${help}`);
  process.exitCode = 2;
} else {
  try {
    const size = values.quick ? quickSize : fullSize;
    await run({ names, size, write: values.write }, stopped.signal);
  } catch (error) {
    const reason = stopped.signal.aborted ? "stopped" : String(error);
    process.stderr.write(`The bench ended early: ${reason}\n`);
    process.exitCode = stopped.signal.aborted ? 130 : 1;
  }
}
