import { describe, expect, it } from "vitest";
import { findUndocumented } from "./docstrings.ts";
import { parseSource } from "./source.ts";

const undocumented = (text: string, path = "server/core/a.ts") =>
  findUndocumented([parseSource(path, text)]);

describe("findUndocumented", () => {
  it.each([
    "/** Doc. */\nexport function a() {}",
    "/**\n * Doc.\n */\nexport const a = 1;",
    "/** Doc. */\nexport type A = 1;",
    "/** Doc. */\nexport class A {}",
    "/** Doc. */ export async function* a() {}",
    "/** Doc. */\nfunction a() {}\nexport { a };",
    "/** Doc. */\nexport function a(b: 1): void;\nexport function a(b: 2): void;\nexport function a() {}",
    "function a() {}",
  ])("is content with %j", (text) => {
    expect(undocumented(text)).toEqual([]);
  });

  it.each([
    ["export function a() {}", "a"],
    ["export const a = 1;", "a"],
    ["export type A = 1;", "A"],
    ["export class A {}", "A"],
    ["// Not a docstring.\nexport const a = 1;", "a"],
    ["/* Not a docstring. */\nexport const a = 1;", "a"],
    ["/** */\nexport const a = 1;", "a"],
    ["/** Too far away. */\n\nexport const a = 1;", "a"],
    ["/** Another's. */\nconst b = 1;\nexport const a = 1;", "a"],
    ["function a() {}\nexport { a };", "a"],
    ["export const { a } = b;", "(a pattern)"],
  ])("misses one at %j", (text, name) => {
    expect(undocumented(text)).toEqual([expect.stringContaining(`: ${name} is exported without`)]);
  });

  it("asks it of server/ alone, and not of tests", () => {
    for (const path of ["server/a.test.ts", "web/src/a.ts", "tools/a.ts"]) {
      expect(undocumented("export const a = 1;", path)).toEqual([]);
    }
  });
});
