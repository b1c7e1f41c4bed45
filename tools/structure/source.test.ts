import { describe, expect, it } from "vitest";
import { isAt, isForTests, parseSource, problemAt } from "./source.ts";

describe("parseSource", () => {
  it("names the file that cannot be parsed", () => {
    expect(() => parseSource("server/a.ts", "const = 1;")).toThrow(/^server\/a\.ts: /);
  });
});

describe("problemAt", () => {
  it("counts lines from 1, also after letters outside the first plane", () => {
    const source = parseSource("a.ts", "// 😀 ü\n\nexport const a = 1;");
    expect(problemAt(source, source.program.body[0]?.start ?? 0, "here")).toBe("a.ts:3: here");
  });
});

describe("isForTests", () => {
  it("holds for tests beside the code and for everything in test/", () => {
    for (const path of ["server/a.test.ts", "test/browser/page.ts"]) {
      expect(isForTests(path)).toBe(true);
    }
    for (const path of ["server/a.ts", "tools/test/a.ts", "server/latest.ts"]) {
      expect(isForTests(path)).toBe(false);
    }
  });
});

describe("isAt", () => {
  it("takes a place that ends in a slash for a folder, any other for one file", () => {
    expect(isAt("server/http/a.ts", ["server/http/"])).toBe(true);
    expect(isAt("server/https/a.ts", ["server/http/"])).toBe(false);
    expect(isAt("server/app.ts", ["server/app.ts"])).toBe(true);
    expect(isAt("server/app.tsx", ["server/app.ts"])).toBe(false);
  });
});
