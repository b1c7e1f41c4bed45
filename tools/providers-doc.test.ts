import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { blockOf, withBlock } from "./marked-block.ts";
import { failovers } from "./providers-doc-measure.ts";
import {
  openEveryTier,
  speechCapabilities,
  textCapabilities,
  tierTables,
  unclaimedSettings,
} from "./providers-doc-tiers.ts";

const doc = readFileSync(new URL("../docs/providers.md", import.meta.url), "utf8");

describe("docs/providers.md", () => {
  it("holds the tiers as the code has them", () => {
    expect(blockOf(doc, "tiers")).toBe(tierTables());
  });

  it("has a section for each tier", () => {
    const sections = [...doc.matchAll(/^### (\S+)$/gm)].map(([, name]) => name);
    expect(sections).toEqual([
      ...Object.keys(textCapabilities),
      ...Object.keys(speechCapabilities),
    ]);
  });

  it("tells of faults at each tier that has an emulator", () => {
    const rows = blockOf(doc, "faults").split("\n").slice(2);
    expect(rows).toHaveLength(10);
    for (const row of rows) expect(row.split("|")).toHaveLength(8);
  });

  it("was made with every such tier at work", () => {
    const refused = /^\| no connection \|(.+)\|$/m.exec(blockOf(doc, "faults"))?.[1] ?? "";
    expect(refused.split("|").map((cell) => cell.trim())).toEqual(Array(5).fill("connectivity"));
  });

  it("tells what each switch costs, when that was measured and where", () => {
    const [line = "", , , , ...rows] = blockOf(doc, "failovers").split("\n");
    expect(line).toMatch(/^Measured on 20\d\d-\d\d-\d\d: \d+ cores, \w+ \w+, Node \d+/);
    const told = rows.map((row) => /^\| `(.+)` → `(.+)` \|/.exec(row)?.slice(1));
    expect(told).toEqual(
      failovers.flatMap(({ from, to }) => [
        [from, to],
        [from, to],
      ]),
    );
  });
});

describe("the capabilities", () => {
  it("are told in the order in which the tiers are asked by default", () => {
    const { languageModels, synthesizers } = openEveryTier();
    // The agent is asked only where TEXT_TIERS names it.
    const { agent: _, ...byDefault } = textCapabilities;
    expect(languageModels.map(({ name }) => name)).toEqual(Object.keys(byDefault));
    expect(synthesizers.map(({ name }) => name)).toEqual(Object.keys(speechCapabilities));
  });

  it("give each provider's setting to a tier", () => {
    expect(unclaimedSettings()).toEqual([]);
  });
});

describe("withBlock", () => {
  const text = "A\n\n<!-- x -->\nold\n<!-- /x -->\n\n<!-- y -->\n<!-- /y -->\n";

  it("replaces the text between the markers of that name, and nothing else", () => {
    const wanted = "A\n\n<!-- x -->\n\nnew $& $1\n\n<!-- /x -->\n\n<!-- y -->\n<!-- /y -->\n";
    expect(withBlock(text, "x", "new $& $1")).toBe(wanted);
    expect(withBlock(wanted, "x", "new $& $1")).toBe(wanted);
  });

  it.each(["", "<!-- x -->", "<!-- /x -->", "<!-- /x --> <!-- x -->", text + text])(
    "refuses a text that does not hold one pair of markers: %j",
    (wrong) => {
      expect(() => withBlock(wrong, "x", "new")).toThrow("once each");
    },
  );
});
