import { describe, expect, it } from "vitest";
import { importsOf, packageOf } from "./imports.ts";
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
    'fork(new URL("../core/a.ts", import.meta.url));',
    'import { type A, b } from "../core/a.ts";',
  ])("sees the file that is taken by %s", (text) => {
    expect(importsIn(text)).toMatchObject([{ path: "server/core/a.ts", typeOnly: false }]);
  });

  it.each([
    'import type { A } from "./a.ts";',
    'import { type A, type B } from "./a.ts";',
    'export type { A } from "./a.ts";',
    'type A = import("./a.ts").A;',
  ])("tells that only types are taken by %s", (text) => {
    expect(importsIn(text)).toMatchObject([{ path: "server/http/a.ts", typeOnly: true }]);
  });

  it.each([
    '// import { a } from "./a.ts";',
    "const text = 'import \"./a.ts\"';",
    'await Promise.resolve("a");',
    'new URL("../web/dist", import.meta.url);',
  ])("is not misled by %s", (text) => {
    expect(importsIn(text)).toEqual([]);
  });

  it("tells each in the order of the text, and no path for a package", () => {
    expect(importsIn('import "hono";\nimport "./b.ts";').map(({ path }) => path)).toEqual([
      undefined,
      "server/http/b.ts",
    ]);
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
