// Who may import whom. The tables stand in tools/structure/layers.ts and package-places.ts;
// `npm run check:layers` runs the rules.
import {
  adapterPackages,
  allowedGenImporters,
  layers,
  topPlaces,
} from "./tools/structure/layers.ts";

const TESTS = "\\.test\\.ts$";
const packages = Object.keys(layers);

/** What every file of server/ may import: gen/ has a rule of its own, package.json the version. */
const SHARED = ["^gen/", "^package\\.json$"];

export default {
  forbidden: [
    ...packages.map((name) => {
      const lower = packages.filter((other) => layers[other] < layers[name]);
      return layerRule(`${name}/`, [name, ...lower].map(folderOf));
    }),
    ...topPlaces.map((place, index) =>
      layerRule(place, [
        ...packages.map(folderOf),
        ...topPlaces.slice(0, index + 1).map(patternOf),
      ]),
    ),
    {
      name: "core-no-io",
      comment: "core/ does no I/O: it imports no module of Node.",
      severity: "error",
      from: { path: folderOf("core"), pathNot: TESTS },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "adapters",
      comment: "Only server/adapters.ts names concrete providers and local-tts.",
      severity: "error",
      from: {
        path: "^server/",
        pathNot: [TESTS, "^server/adapters\\.ts$", ...adapterPackages.map(folderOf)],
      },
      to: { path: adapterPackages.map(folderOf) },
    },
    {
      name: "gen-importers",
      comment: `Only ${allowedGenImporters.join(", ")} and tests import gen/.`,
      severity: "error",
      from: {
        pathNot: [
          TESTS,
          "^(gen|test|emulators)/",
          ...allowedGenImporters.map((place) => `^${place.replaceAll(".", "\\.")}`),
        ],
      },
      to: { path: "^gen/" },
    },
    {
      name: "test-code",
      comment: "emulators/ and test/ are for tests, the bench and the tools.",
      severity: "error",
      from: { path: "^(server|web|examples|gen)/", pathNot: TESTS },
      to: { path: "^(emulators|test)/" },
    },
    {
      name: "no-cycles",
      comment: "Files do not import each other in a circle.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "resolvable",
      comment: "Every import leads to a file or an installed package.",
      severity: "error",
      // It has packages of its own, which not everybody installs.
      from: { pathNot: "^test/foreign/" },
      // Optional: somebody may have installed it.
      to: { couldNotResolve: true, pathNot: "^@evan/opus$" },
    },
  ],
  options: {
    // TypeScript 7 has no API that dependency-cruiser could read with; swc reads in its place.
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: ["^node_modules/", "/node_modules/", "^web/dist/", "\\.d\\.ts$"] },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".mjs", ".js", ".json"],
    },
  },
};

function layerRule(place, allowed) {
  return {
    name: `layers-${place.replace("/", "")}`,
    comment: `server/${place} imports itself and lower layers only (tools/structure/layers.ts).`,
    severity: "error",
    from: { path: patternOf(place), pathNot: TESTS },
    to: { dependencyTypes: ["local"], pathNot: [...allowed, ...SHARED] },
  };
}

function folderOf(name) {
  return `^server/${name}/`;
}

function patternOf(place) {
  return place.endsWith("/") ? `^server/${place}` : `^server/${place.replaceAll(".", "\\.")}$`;
}
