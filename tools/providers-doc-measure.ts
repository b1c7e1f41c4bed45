import { arch, cpus, loadavg, platform } from "node:os";
import type { EmulatorScript } from "../emulators/script.ts";
import { BLOCK_SAMPLES } from "../server/core/audio/pcm.ts";
import { speakText } from "../server/failover/speech.ts";
import { generateReply } from "../server/failover/text.ts";
import type { Timeouts } from "../server/failover/tier.ts";
import { createTier } from "../server/failover/tier.ts";
import { table } from "./api-docs/markdown.ts";
import { type EmulatedTiers, openEmulatedTiers } from "./providers-doc-emulated.ts";

/** A failover that is measured: a tier, and the next one by default. */
type Failover = {
  readonly from: string;
  readonly to: string;
  /** Fewer where the next tier is slow. */
  readonly times: number;
};

/** The measured failovers, in the order of the table. */
export const failovers: readonly Failover[] = [
  { from: "gemini-live", to: "gemini", times: 200 },
  { from: "gemini", to: "langchain", times: 200 },
  { from: "langchain", to: "offline", times: 200 },
  { from: "azure", to: "edge", times: 200 },
  { from: "edge", to: "local", times: 40 },
];

/** When the fault comes, and its kind. */
const moments = {
  "before a part": { kind: "html-500" },
  "after three parts": { kind: "cut", afterParts: 3 },
} as const satisfies Record<string, EmulatorScript["fault"]>;

const timeouts: Timeouts = { firstPartMs: 20_000, idleMs: 20_000, totalMs: 60_000 };
const deltas = "One, two, three, four, five, six, seven.".split(/(?<= )/);
const warmUps = 10;
const never = new AbortController().signal;

/**
 * Measures how long a listener waits at each failover, against emulators that answer at once: from
 * the call, or from the failed tier's last part, to the next tier's first. Beside it stands the time
 * of a direct call of the next tier, measured alternately. Returns Markdown; `today` is its date.
 */
export async function measureFailovers(today: string): Promise<string> {
  const opened = await openEmulatedTiers();
  try {
    const rows: string[][] = [];
    for (const measured of failovers) {
      for (const [moment, fault] of Object.entries(moments)) {
        const { switched, direct } = await measure(opened, measured, fault);
        const { from, to, times } = measured;
        const figures = [...quantiles(switched), ...quantiles(direct)];
        rows.push([`\`${from}\` → \`${to}\``, moment, ...figures, String(times)]);
      }
    }
    const load = loadavg()[0]?.toFixed(1);
    const machine = `${cpus().length} cores, ${platform()} ${arch()}, Node ${process.versions.node}`;
    return [
      `Measured on ${today}: ${machine}, emulators in the same process, load average ${load}.`,
      "",
      ...table(
        ["Failover", "Fault", "p50, ms", "p99, ms", "next alone, p50", "next alone, p99", "Times"],
        rows,
      ),
    ].join("\n");
  } finally {
    await opened.stop();
  }
}

/** Milliseconds of each failover, and of each direct call of the next tier. */
async function measure(
  opened: EmulatedTiers,
  { from, to, times }: Failover,
  fault: EmulatorScript["fault"],
): Promise<{ readonly switched: readonly number[]; readonly direct: readonly number[] }> {
  if (opened.names.some((name) => name === to)) opened.play(to, { deltas });
  opened.play(from, { deltas, ...(fault && { fault }) });
  const switched: number[] = [];
  const direct: number[] = [];
  for (let at = -warmUps; at < times; at++) {
    const switchMs = await waitFor(opened, to, [from, to]);
    const directMs = await waitFor(opened, to, [to]);
    if (at < 0) continue;
    switched.push(switchMs);
    direct.push(directMs);
  }
  return { switched, direct };
}

/** Milliseconds from the call, or from another tier's last part, to the first part of `to`. */
async function waitFor(
  opened: EmulatedTiers,
  to: string,
  tiers: readonly string[],
): Promise<number> {
  let sinceMs = performance.now();
  for await (const tier of callTiers(opened, tiers)) {
    if (tier === to) return performance.now() - sinceMs;
    sinceMs = performance.now();
  }
  throw new Error(`${tiers.join(" and ")} ended without a part of ${to}`);
}

/**
 * The tier of each part, of a call with new circuit breakers: the failover before opened none of them.
 */
async function* callTiers(
  { languageModels, voices }: EmulatedTiers,
  names: readonly string[],
): AsyncGenerator<string> {
  const pick = <Provider extends { readonly name: string }>(from: ReadonlyMap<string, Provider>) =>
    names.flatMap((name) => {
      const provider = from.get(name);
      return provider ? [createTier(provider, timeouts)] : [];
    });
  const text = pick(languageModels);
  if (text.length > 0) {
    for await (const parts of generateReply({ tiers: text }, { text: "Count." }, never)) {
      for (const { source } of parts) if (source) yield source.tier;
    }
    return;
  }
  const run = { tiers: pick(voices), samplesPerChunk: BLOCK_SAMPLES };
  for await (const chunks of speakText(run, { text: deltas.join(""), voice: {} }, never)) {
    for (const { synthesizer } of chunks) yield synthesizer;
  }
}

/** Median and 99th percentile, with one decimal. */
function quantiles(tookMs: readonly number[]): readonly string[] {
  const sorted = tookMs.toSorted((one, other) => one - other);
  return [0.5, 0.99].map((share) => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(1));
}
