import { cpus, totalmem } from "node:os";
import type { Result } from "./run.ts";
import { median } from "./stats.ts";

const GIBIBYTE = 1024 ** 3;

/** Which machine the figures come from, and when. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const cores = cpus().length;
  const memory = `${Math.round(totalmem() / GIBIBYTE)} GiB of memory`;
  const day = new Date().toISOString().slice(0, 10);
  return `${day}, Node ${process.versions.node}, ${cpu?.model.trim() ?? "unknown CPU"}, ${cores} cores, ${memory}. ${cores} cores, shared machine: read the ratios.`;
}

/** A scenario's table in Markdown, under its title. */
export function renderResult(result: Result): string {
  const { title, about } = result.scenario;
  const lines = [header(result), ...rows(result)].map((cells) => `| ${cells.join(" | ")} |`);
  lines.splice(1, 0, `| --- |${" ---: |".repeat(header(result).length - 1)}`);
  return [`### ${title}`, about, lines.join("\n")].join("\n\n");
}

function header({ scenario, repeats }: Result): readonly string[] {
  const names = scenario.variants.map(({ name }) => name);
  if (names.length !== 2) return ["", ...names];
  const ratios = repeats.map((_, at) => `ratio ${at + 1}`);
  return ["", ...names, ...ratios, "median ratio"];
}

function rows(result: Result): readonly (readonly string[])[] {
  const figures = result.repeats[0]?.[0] ?? [];
  const { reference } = result.scenario;
  return figures.flatMap(({ name, compared }, row) => {
    const medians = [name, ...cells(result, row)];
    if (reference === undefined || !compared) return [medians];
    return [medians, [`÷ ${reference}`, ...ratioCells(result, row, reference)]];
  });
}

/** The medians of the ratios to the reference, round by round. */
function ratioCells({ scenario, repeats }: Result, row: number, reference: string) {
  const at = scenario.variants.findIndex(({ name }) => name === reference);
  return scenario.variants.map((_, variant) => {
    const ratios = repeats.map(
      (repeat) => (repeat[variant]?.[row]?.value ?? 0) / (repeat[at]?.[row]?.value ?? 0),
    );
    return formatRatio(median(ratios));
  });
}

/** One figure: the median of each variant, and how the repeats compare. */
function cells({ scenario, repeats }: Result, row: number): readonly string[] {
  const values = scenario.variants.map((_, variant) =>
    repeats.map((repeat) => repeat[variant]?.[row]?.value ?? Number.NaN),
  );
  const medians = values.map((of) => format(median(of)));
  const [first = [], second] = values;
  if (second === undefined || values.length > 2) return medians;
  const ratios = first.map((value, repeat) => value / (second[repeat] ?? Number.NaN));
  return [...medians, ...ratios.map(formatRatio), `**${formatRatio(median(ratios))}**`];
}

/** Three digits that count; no table needs more. */
function format(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  if (Math.abs(value) >= 10) return value.toFixed(1);
  return value.toFixed(2);
}

function formatRatio(ratio: number): string {
  return ratio.toFixed(2);
}
