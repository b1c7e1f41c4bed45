import { parseArgs } from "node:util";
import { writeFigures } from "./readme.ts";
import { describeMachine, renderResult } from "./report.ts";
import { runScenario } from "./run.ts";
import { bargeIn } from "./scenarios/barge-in.ts";
import { firstAudio } from "./scenarios/first-audio.ts";
import { localVoice } from "./scenarios/local-voice.ts";
import { paced } from "./scenarios/paced.ts";
import { pipeline } from "./scenarios/pipeline.ts";
import { protocols, unpaced } from "./scenarios/unpaced.ts";
import { fullSize, quickSize, type Size } from "./size.ts";

const help = `Usage: npm run bench -- [--quick] [--write]

  --quick  a short run that shows that the bench works; its figures mean nothing
  --write  also writes the tables into bench/README.md
`;

/** Runs every scenario, prints each table as it is done, and answers all of them. */
async function run(size: Size, signal: AbortSignal): Promise<string> {
  const begun = performance.now();
  const onProgress = (line: string) => {
    const seconds = Math.round((performance.now() - begun) / 1000);
    process.stderr.write(`${String(seconds).padStart(3)} s  ${line}\n`);
  };
  const sections: string[] = [];
  const add = (section: string) => {
    sections.push(section);
    process.stdout.write(`${section}\n\n`);
  };
  add(describeMachine());
  for (const create of [unpaced, protocols, paced, bargeIn, firstAudio, pipeline, localVoice]) {
    const result = await runScenario(create(size), onProgress, signal);
    add(renderResult(result));
  }
  return sections.join("\n\n");
}

const stopped = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => stopped.abort(new Error("stopped")));
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(help);
} else {
  try {
    const report = await run(values.quick ? quickSize : fullSize, stopped.signal);
    if (values.write) await writeFigures(new URL("README.md", import.meta.url), report);
  } catch (error) {
    const reason = stopped.signal.aborted ? "stopped" : String(error);
    process.stderr.write(`The bench ended early: ${reason}\n`);
    process.exitCode = stopped.signal.aborted ? 130 : 1;
  }
}
