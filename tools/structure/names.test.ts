import { describe, expect, it } from "vitest";
import { findEmptyNames } from "./names.ts";
import { parseSource } from "./source.ts";

const found = (text: string, path = "server/core/a.ts") =>
  findEmptyNames([parseSource(path, text)]);

describe("findEmptyNames", () => {
  it.each([
    "const turnManager = 1;",
    "function helper() {}",
    "class AudioUtils {}",
    "type TurnImpl = 1;",
    "const a = (opts) => 1;",
    "function a({ b: { cfg } }) {}",
    "const [opts = 1] = a;",
    "function a(...helpers) {}",
    "type A = { readonly opts: 1 };",
    "class A { util() {} }",
    "class A { impl = 1; }",
    "type ITurn = 1;",
    "interface ITurn {}",
  ])("finds what says nothing in %s", (text) => {
    expect(found(text)).toHaveLength(1);
  });

  it.each([
    'import type { ServiceImpl } from "a";\nconst a: ServiceImpl = 1;',
    "call({ opts: 1 });",
    "const options = 1; const optional = 1; const manage = 1; const implicit = 1;",
    "class InvalidRequest {}",
    "type IPAddress = 1; type Item = 1;",
    "// helper\nconst a = 'utils';",
    "const { opts: options } = theirs;",
  ])("lets %j be", (text) => {
    expect(found(text)).toEqual([]);
  });

  it("finds files that say nothing", () => {
    for (const name of ["utils", "audio-helpers", "session-manager"]) {
      expect(found("", `server/core/${name}.ts`)).toHaveLength(1);
    }
    expect(found("", "server/core/options.ts")).toEqual([]);
  });
});
