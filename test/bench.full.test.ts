import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { replaceFigures, replaceSection } from "../bench/readme.ts";
import { createRandom } from "../bench/soak-faults.ts";
import { gaps, median, percentile, slope } from "../bench/stats.ts";

const entry = fileURLToPath(new URL("../bench/main.ts", import.meta.url));

let bench: ChildProcess | undefined;

afterEach(() => {
  bench?.kill("SIGKILL");
});

function startBench(...names: readonly string[]) {
  const started = spawn(process.execPath, [entry, "--quick", ...names], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  bench = started;
  return started;
}

/** The rows of every table, without their heads; the first cell is a row's name. */
function readRows(report: string): readonly (readonly string[])[] {
  const tables = report.split("\n\n").filter((block) => block.startsWith("|"));
  const rows = tables.flatMap((table) => table.trim().split("\n").slice(2));
  return rows.map((row) => row.split("|").slice(1, -1).map(plain));
}

function plain(cell: string): string {
  return cell.replaceAll("*", "").trim();
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The soak runs every scenario; `npm run test:full` one of each kind of server. */
const scenarios = process.env["MODE"] === "soak" ? [] : ["unpaced", "pipeline", "storage"];

describe("npm run bench", () => {
  it("prints tables of finite numbers", { timeout: 600_000 }, async () => {
    const { stdout, stderr } = startBench(...scenarios);
    const [report, progress] = await Promise.all([text(stdout), text(stderr)]);
    const titles = report.match(/^### .+$/gm) ?? [];
    expect(titles.length, progress).toBeGreaterThanOrEqual(Math.max(3, scenarios.length));
    expect(report.match(/^\| --- \|/gm)).toHaveLength(titles.length);
    const rows = readRows(report);
    expect(rows.length).toBeGreaterThan(10);
    for (const [name, ...cells] of rows) {
      const numbers = cells.map((cell) => (cell === "" ? Number.NaN : Number(cell)));
      expect(numbers.length, name).toBeGreaterThan(0);
      expect(numbers.every(Number.isFinite), `${name}: ${cells}`).toBe(true);
    }
  });

  it("runs only the scenarios that are named", { timeout: 60_000 }, async () => {
    const { stdout, stderr } = startBench("first-audio");
    const [report, progress] = await Promise.all([text(stdout), text(stderr)]);
    expect(report.match(/^### .+$/gm), progress).toEqual([
      "### Time to first audio, overhead alone",
    ]);
  });

  it("refuses an unknown scenario, and says what there is", async () => {
    const child = startBench("nonsense");
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
    expect(code).toBe(2);
    expect(said).toContain("There is no scenario nonsense.");
    expect(said).toContain("SCENARIO  one or more of unpaced, protocols, paced");
  });

  it("ends its server when it is interrupted", { timeout: 60_000 }, async () => {
    const child = startBench();
    const pid = await new Promise<number>((resolve) => {
      child.stderr.on("data", (line) => {
        const [, digits] = /process (\d+)/.exec(String(line)) ?? [];
        if (digits) resolve(Number(digits));
      });
    });
    expect(isAlive(pid)).toBe(true);
    child.kill("SIGINT");
    const [code] = await once(child, "exit");
    expect(code).toBe(130);
    expect(isAlive(pid)).toBe(false);
  });
});

describe("npm run bench:soak", () => {
  it("measures the gateway beside the peer, with faults, and checks every reply", async () => {
    const soak = fileURLToPath(new URL("../bench/soak.ts", import.meta.url));
    const options = ["--seconds", "5", "--streams", "10", "--faults", "--report-only"];
    const child = spawn(process.execPath, [soak, ...options], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    bench = child;
    const ended = once(child, "exit");
    const [report, progress] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect(await ended, progress).toEqual([0, null]);
    const lines = report
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const { seed, misdeeds } = lines.at(-1);
    expect(seed).toBe("1");
    const counts = Object.values<number>(misdeeds);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(1);
    const rows = lines.slice(0, -1);
    expect(rows.map(({ server }) => server)).toEqual(["gateway", "peer"]);
    for (const { server: _, ...figures } of rows) {
      expect(figures.gaps).toBeGreaterThan(1000);
      expect(Object.values(figures).every(Number.isFinite), report).toBe(true);
    }
  });
});

describe("createRandom", () => {
  it("answers the same numbers from 0 to 1 for the same seed, spread evenly", () => {
    const numbersOf = (seed: number) => Array.from({ length: 1000 }, createRandom(seed));
    const numbers = numbersOf(7);
    expect(numbersOf(7)).toEqual(numbers);
    expect(numbersOf(8)).not.toEqual(numbers);
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(median(numbers)).toBeCloseTo(0.5, 1);
  });
});

describe("slope", () => {
  it("answers the slope of a line through points that scatter, and 0 of a single one", () => {
    const points = Array.from({ length: 100 }, (_, x) => ({ x, y: 5 + 0.5 * x + (x % 2) }));
    expect(slope(points)).toBeCloseTo(0.5, 2);
    expect(slope([{ x: 1, y: 1 }])).toBe(0);
  });
});

describe("replaceFigures", () => {
  it("puts the figures between the markers and leaves the rest alone", () => {
    const page = "# Bench\n\n<!-- figures -->\n\nold\n\n<!-- /figures -->\n\nafter\n";
    const replaced = replaceFigures(page, "new");
    expect(replaced).toBe(page.replace("old", "new"));
    expect(replaceFigures(replaced, "new")).toBe(replaced);
  });

  it("refuses a page without markers", () => {
    expect(() => replaceFigures("# Bench", "new")).toThrow("figures");
  });
});

describe("replaceSection", () => {
  const page =
    "<!-- figures -->\n\n### One\n\nold\n\n### Two\n\nkept\n\n<!-- /figures -->\n\nafter\n";

  it("puts a section in the place of the one with its heading", () => {
    expect(replaceSection(page, "### One\n\nnew")).toBe(page.replace("old", "new"));
    expect(replaceSection(page, "### Two\n\nnew")).toBe(page.replace("kept", "new"));
  });

  it("puts a section with a new heading behind the last one", () => {
    const added = replaceSection(page, "### Three\n\nnew");
    expect(added).toBe(page.replace("kept\n\n", "kept\n\n### Three\n\nnew\n\n"));
    expect(replaceSection(added, "### Three\n\nnew")).toBe(added);
  });

  it("refuses a page without markers", () => {
    expect(() => replaceSection("# Bench", "### One\n\nnew")).toThrow("figures");
  });
});

describe("percentile", () => {
  it("answers the smallest value that is not below the share", () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect([0, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 100, 198, 200]);
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });
});

describe("median", () => {
  it("answers the middle value, or the mean of the two in the middle", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 6])).toBe(5.5);
  });
});

describe("gaps", () => {
  it("answers the differences between neighbours", () => {
    expect(gaps([5, 7, 12])).toEqual([2, 5]);
    expect(gaps([5])).toEqual([]);
  });
});
