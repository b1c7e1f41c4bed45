import { describe, expect, it } from "vitest";
import { parseSource } from "./source.ts";
import {
  findAny,
  findBarrels,
  findDefaultExports,
  findLongFiles,
  findUnerasable,
} from "./style.ts";

const file = (text: string, path = "server/core/a.ts") => [parseSource(path, text)];

describe("findDefaultExports", () => {
  it.each([
    "export default 1;",
    "export default function a() {}",
    "const a = 1;\nexport { a as default };",
    'export { default } from "./b.ts";',
  ])("finds %j", (text) => {
    expect(findDefaultExports(file(text))).toHaveLength(1);
  });

  it("lets a default be imported, and a switch have one", () => {
    const text =
      'import a from "a";\nimport { default as b } from "b";\nswitch (a) { default: b; }';
    expect(findDefaultExports(file(text))).toEqual([]);
  });
});

describe("findBarrels", () => {
  it.each([
    'export * from "./b.ts";',
    'export { b } from "./b.ts";\nexport type { C } from "./c.ts";',
    'import "./a.ts";\nexport { b } from "./b.ts";',
  ])("finds %j", (text) => {
    expect(findBarrels(file(text))).toHaveLength(1);
  });

  it("finds a file called index.ts, whatever it holds", () => {
    expect(findBarrels(file("export const a = 1;", "server/core/index.ts"))).toHaveLength(1);
  });

  it.each(["export const a = 1;", 'import "./b.ts";', "", "const a = 1;\nexport { a };"])(
    "does not take %j for one",
    (text) => {
      expect(findBarrels(file(text))).toEqual([]);
    },
  );
});

describe("findAny", () => {
  it("finds the type, not the word", () => {
    expect(findAny(file("const a: any = 1;\nlet b = c as any[];"))).toHaveLength(2);
    expect(findAny(file('// any\nconst any = "any"; Promise.any([]);'))).toEqual([]);
  });
});

describe("findUnerasable", () => {
  it.each([
    "enum A { B }",
    "const enum A { B }",
    "namespace A { export const b = 1; }",
    "class A { constructor(readonly b: number) {} }",
    'import a = require("a");',
  ])("finds %j", (text) => {
    expect(findUnerasable(file(text))).toHaveLength(1);
  });

  it("lets types be declared for what is there already", () => {
    const text = "declare global { var a: number; }\ndeclare module 'b';\ntype C = 'enum';";
    expect(findUnerasable(file(text))).toEqual([]);
  });
});

describe("findLongFiles", () => {
  it("finds code of more than 250 lines, and lets tests be longer", () => {
    const lines = (count: number) => "a;\n".repeat(count);
    expect(findLongFiles(file(lines(250)))).toEqual([]);
    expect(findLongFiles(file(lines(251)))).toEqual([
      "server/core/a.ts: has 251 lines, more than 250",
    ]);
    expect(findLongFiles(file(lines(251), "server/core/a.test.ts"))).toEqual([]);
  });
});
