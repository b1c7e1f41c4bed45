import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { describeSettings } from "../server/config/settings.ts";
import { findUndocumented } from "../tools/structure/docstrings.ts";
import { findEnvironmentReads, findUnusedSettings } from "../tools/structure/environment.ts";
import {
  findAdapterProblems,
  findCoreProblems,
  findFloorProblems,
  findGenProblems,
  findTestingProblems,
} from "../tools/structure/floors.ts";
import { floors, packagePlaces } from "../tools/structure/layers.ts";
import { findEmptyNames } from "../tools/structure/names.ts";
import { findPackageProblems } from "../tools/structure/packages.ts";
import { findRegistries, readTracked } from "../tools/structure/repository.ts";
import { readSources } from "../tools/structure/source.ts";
import {
  findAny,
  findBarrels,
  findDefaultExports,
  findLongFiles,
  findUnerasable,
} from "../tools/structure/style.ts";

// The rules themselves are tested beside them, in tools/structure, on code that breaks them.

const root = fileURLToPath(new URL("..", import.meta.url));
const folders = ["server", "web/src", "examples", "bench", "tools", "test"];
const sources = readSources(root, folders);

const settingReaders = [
  "server/config/config-sources.ts",
  "server/config/config.ts",
  "server/config/provider-config.ts",
];

describe("the house", () => {
  it("is read whole", () => {
    const paths = sources.map(({ path }) => path);
    expect(paths).toContain("server/app.ts");
    expect(paths).toContain("web/src/main.ts");
    expect(paths).toContain("test/architecture.test.ts");
  });

  it("stands as docs/architecture.md draws it", () => {
    const picture = readFileSync(`${root}docs/architecture.md`, "utf8");
    const drawn = [...picture.matchAll(/^\| (\d) \| `server\/([a-z]+)\/`/gm)];
    const holdsCode = (room: string) =>
      sources.some(({ path }) => path.startsWith(`server/${room}/`));
    const built = Object.keys(floors).filter(holdsCode);
    expect(drawn.map(([, , room]) => room).sort()).toEqual(built.sort());
    for (const [, floor, room = ""] of drawn) expect(floors[room], room).toBe(Number(floor));
  });

  it("imports from floors below and from the same room alone", () => {
    expect(findFloorProblems(sources)).toEqual([]);
  });

  it("does no I/O in core/", () => {
    expect(findCoreProblems(sources)).toEqual([]);
  });

  it("keeps testing/ to the tests", () => {
    expect(findTestingProblems(sources)).toEqual([]);
  });

  it("shows the wire's messages to those alone that speak on the wire", () => {
    expect(findGenProblems(sources)).toEqual([]);
  });

  it("names concrete adapters in adapters.ts alone", () => {
    expect(findAdapterProblems(sources)).toEqual([]);
  });

  it("names each package in its place, and each vendor's SDK in one file", () => {
    const dependencies = Object.keys(packageJson.dependencies);
    expect(findPackageProblems(sources, { dependencies, places: packagePlaces })).toEqual([]);
  });

  it("reads the environment in config.ts alone, and every setting of it", () => {
    expect(findEnvironmentReads(sources)).toEqual([]);
    const readers = sources.filter(({ path }) => settingReaders.includes(path));
    const names = describeSettings().map(({ name }) => name);
    const unused = readers.reduce(
      (left, reader) => left.filter((name) => findUnusedSettings([name], reader).length > 0),
      names,
    );
    expect(unused).toEqual([]);
  });
});

describe("the style", () => {
  it("has no default exports", () => {
    expect(findDefaultExports(sources)).toEqual([]);
  });

  it("has no barrels", () => {
    expect(findBarrels(sources)).toEqual([]);
  });

  it("has no any", () => {
    expect(findAny(sources)).toEqual([]);
  });

  it("has no syntax that Node cannot erase", () => {
    expect(findUnerasable(sources)).toEqual([]);
  });

  it("documents everything that server/ exports", () => {
    expect(findUndocumented(sources)).toEqual([]);
  });

  it("has no code file that is too long to read", () => {
    expect(findLongFiles(sources)).toEqual([]);
  });

  it("has no names that say nothing", () => {
    expect(findEmptyNames(sources)).toEqual([]);
  });
});

describe("the repository", () => {
  // A copy without its history, such as an archive, has nothing that git could list.
  it.skipIf(!existsSync(`${root}.git`))("names no package registry", () => {
    const files = readTracked(root);
    expect(files.map(({ path }) => path)).toContain("package-lock.json");
    expect(findRegistries(files)).toEqual([]);
  });
});
