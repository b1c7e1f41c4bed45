import { describe, expect, it } from "vitest";
import { findForeignWorkers, importsOf, packageOf } from "./imports.ts";
import { parseSource } from "./source.ts";

const importsIn = (text: string) => importsOf(parseSource("server/http/page.ts", text));

describe("importsOf", () => {
  it.each([
    'import { a } from "../core/a.ts";',
    'import "../core/a.ts";',
    'export { a } from "../core/a.ts";',
    'export * from "../core/a.ts";',
    'const a = await import("../core/a.ts");',
    'const a = require("../core/a.ts");',
    'const a = require.resolve("../core/a.ts");',
    'const a = import.meta.resolve("../core/a.ts");',
    'import { type A, b } from "../core/a.ts";',
    'import type { A } from "../core/a.ts";',
    'type A = import("../core/a.ts").A;',
  ])("sees what is imported by %s", (text) => {
    expect(importsIn(text)).toMatchObject([{ specifier: "../core/a.ts" }]);
  });

  it.each([
    '// import { a } from "./a.ts";',
    "const text = 'import \"./a.ts\"';",
    'await Promise.resolve("a");',
    'new URL("../web/dist", import.meta.url);',
  ])("is not misled by %s", (text) => {
    expect(importsIn(text)).toEqual([]);
  });

  it("lists imports in the order of the text", () => {
    expect(importsIn('import "hono";\nimport "./b.ts";').map(({ specifier }) => specifier)).toEqual(
      ["hono", "./b.ts"],
    );
  });
});

describe("findForeignWorkers", () => {
  const findIn = (path: string, name: string) =>
    findForeignWorkers([parseSource(path, `fork(new URL("${name}", import.meta.url));`)]);

  it("refuses a process or worker whose code belongs to another package", () => {
    expect(findIn("server/providers/a/a.ts", "../../local-tts/worker.ts")).toEqual([
      "server/providers/a/a.ts:1: starts server/local-tts/worker.ts, which belongs to another package",
    ]);
  });

  it.each([
    ["server/local-tts/a/a.ts", "../b/worker.ts"],
    ["server/http/page.ts", "../../web/dist"],
    ["server/http/page.test.ts", "../main.ts"],
    ["test/gateway.ts", "../server/main.ts"],
  ])("lets %s name %s", (path, name) => {
    expect(findIn(path, name)).toEqual([]);
  });
});

describe("packageOf", () => {
  it("names the package of a specifier, none for files and Node's own", () => {
    expect(packageOf("hono/body-limit")).toBe("hono");
    expect(packageOf("@bufbuild/protobuf/wkt")).toBe("@bufbuild/protobuf");
    for (const other of ["node:fs", "./a.ts", "../a.ts", "/a.ts"]) {
      expect(packageOf(other)).toBeUndefined();
    }
  });
});
