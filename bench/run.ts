import { abortable } from "../server/core/async.ts";
import { type Device, openDevice } from "./device.ts";
import type { Figure, Scenario, Variant } from "./scenarios/scenario.ts";
import { startServer, withLastWords } from "./server.ts";

/** What a scenario gave: for each repeat, for each variant in order, its figures. */
export type Result = {
  readonly scenario: Scenario;
  readonly repeats: readonly (readonly (readonly Figure[])[])[];
};

/**
 * Measures all variants of a scenario in turn, and that as often as it says, so that what slows the
 * machine for a while slows them all. Each measurement has a server in a fresh process.
 * `onProgress` is told what happens, in a line.
 */
export async function runScenario(
  scenario: Scenario,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<Result> {
  const { title, variants, repeats } = scenario;
  const rows: (readonly Figure[])[][] = [];
  for (let repeat = 1; repeat <= repeats; repeat++) {
    const row: (readonly Figure[])[] = [];
    for (const variant of variants) {
      const onStart = (pid: number | undefined) =>
        onProgress(`${title}: ${variant.name}, ${repeat} of ${repeats} (process ${pid})`);
      row.push(await measure(scenario, { variant, onStart }, signal));
    }
    rows.push(row);
  }
  return { scenario, repeats: rows };
}

type Measurement = {
  readonly variant: Variant;
  readonly onStart: (pid: number | undefined) => void;
};

async function measure(
  scenario: Scenario,
  { variant, onStart }: Measurement,
  signal: AbortSignal,
): Promise<readonly Figure[]> {
  const server = await startServer(variant, scenario.plan, signal);
  const devices: Device[] = [];
  const open = async (count: number) => {
    const ids = Array.from({ length: count }, (_, index) => `device-${devices.length + index}`);
    const { protocol } = variant;
    const opened = await Promise.all(
      ids.map((id) => openDevice(server.url, { id, protocol }, signal)),
    );
    devices.push(...opened);
    return opened;
  };
  try {
    onStart(server.pid);
    return await abortable(scenario.measure({ server, open, signal }), signal);
  } catch (error) {
    await server.stop();
    throw withLastWords(error, server.stderrTail(), signal);
  } finally {
    for (const device of devices) device.close();
    await server.stop();
  }
}
