import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { describeSettings } from "../server/config/settings.ts";
import { findUndocumented } from "../tools/structure/docstrings.ts";
import { findForeignWorkers } from "../tools/structure/imports.ts";
import { layers, topPlaces } from "../tools/structure/layers.ts";
import { packagePlaces } from "../tools/structure/package-places.ts";
import { findPackageProblems } from "../tools/structure/packages.ts";
import { findEnvironmentReads, findUnusedSettings } from "../tools/structure/settings.ts";
import { readSources } from "../tools/structure/source.ts";

// What no tool checks. The rules themselves are tested beside them, in tools/structure, on code that
// breaks them. `npm run check:static` runs the tools: who imports whom, what nothing uses, style.

const root = fileURLToPath(new URL("..", import.meta.url));
const folders = ["server", "web/src", "emulators", "examples", "bench", "tools", "test"];
const sources = readSources(root, folders);
const server = sources.map(({ path }) => path).filter((path) => path.startsWith("server/"));

const settingReaders = [
  "server/config/agent-config.ts",
  "server/config/analysis-config.ts",
  "server/config/auth-config.ts",
  "server/config/config-sources.ts",
  "server/config/config.ts",
  "server/config/data-config.ts",
  "server/config/provider-config.ts",
  "server/config/telemetry-config.ts",
];

describe("the sources", () => {
  it("are read from every folder", () => {
    const paths = sources.map(({ path }) => path);
    for (const folder of folders) {
      expect(paths, folder).toContainEqual(expect.stringMatching(`^${folder}/`));
    }
  });
});

describe("signals", () => {
  it("limit time by core/time-limit.ts: a combined AbortSignal.timeout may never fire", () => {
    const combined = /AbortSignal\.any\([^;]*AbortSignal\.timeout/;
    // The example below is the one that shows that the rule finds something.
    const found = sources.filter(({ text }) => combined.test(text)).map(({ path }) => path);
    expect(found).toEqual(["test/architecture.test.ts"]);
    expect("AbortSignal.any([signal, AbortSignal.timeout(1)])").toMatch(combined);
  });
});

describe("the layers", () => {
  it("have a place for each package of server/, and no other", () => {
    const places = server.map((path) => path.split("/").slice(1, 2).join(""));
    const known = Object.keys(layers).concat(topPlaces.map((place) => place.replace("/", "")));
    const files = places.filter((place) => !place.endsWith(".test.ts"));
    expect([...new Set(files)].sort()).toEqual(known.sort());
  });

  it("are as docs/architecture.md draws them", () => {
    const picture = readFileSync(`${root}docs/architecture.md`, "utf8");
    const drawn = [...picture.matchAll(/^\| (\d) \| `server\/([a-z-]+)\/`/gm)].map(
      ([, layer, name = ""]) => [name, Number(layer)] as const,
    );
    expect(Object.fromEntries(drawn.filter(([name]) => name !== "config"))).toEqual(layers);
  });

  it("start workers and processes of their own package", () => {
    expect(findForeignWorkers(sources)).toEqual([]);
  });
});

describe("the npm packages", () => {
  it("are named in their places, and each vendor's SDK in one file", () => {
    const dependencies = Object.keys(packageJson.dependencies);
    expect(findPackageProblems(sources, { dependencies, places: packagePlaces })).toEqual([]);
  });
});

describe("the settings", () => {
  it("are read from the environment in config.ts alone", () => {
    expect(findEnvironmentReads(sources)).toEqual([]);
  });

  it("are all used, and all documented", () => {
    const readers = sources.filter(({ path }) => settingReaders.includes(path));
    const settings = describeSettings();
    const unused = readers.reduce(
      (left, reader) => left.filter((name) => findUnusedSettings([name], reader).length > 0),
      settings.map(({ name }) => name),
    );
    expect(unused).toEqual([]);
    expect(settings.filter(({ about }) => about.trim() === "")).toEqual([]);
  });
});

describe("server/", () => {
  it("documents everything that it exports", () => {
    expect(findUndocumented(sources)).toEqual([]);
  });
});
