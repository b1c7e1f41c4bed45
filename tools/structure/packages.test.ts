import { describe, expect, it } from "vitest";
import { findPackageProblems } from "./packages.ts";
import { parseSource } from "./source.ts";

const places = {
  sdk: { within: ["server/providers/"], oneFile: true },
  hono: { within: ["server/http/"] },
} as const;
const rules = { dependencies: ["sdk", "hono"], places };

const good = [
  parseSource("server/providers/text/sdk.ts", 'import { a } from "sdk/lib"; import "node:fs";'),
  parseSource("server/http/routes.ts", 'import "hono";'),
  parseSource("server/http/page.ts", 'import "hono/static"; import "./routes.ts";'),
];

describe("findPackageProblems", () => {
  it("finds nothing where each package is in its place", () => {
    expect(findPackageProblems(good, rules)).toEqual([]);
  });

  it("leaves tests, the bench and the examples alone", () => {
    const others = ["server/rpc/a.test.ts", "bench/a.ts", "examples/a.ts"].map((path) =>
      parseSource(path, 'import "sdk"; import "vitest";'),
    );
    expect(findPackageProblems([...good, ...others], rules)).toEqual([]);
  });

  it("refuses a package outside its place", () => {
    const stray = parseSource("server/rpc/a.ts", 'import "hono";');
    expect(findPackageProblems([...good, stray], rules)).toEqual([
      "server/rpc/a.ts:1: imports hono: hono stays within server/http/",
    ]);
  });

  it("refuses a package that the table does not know", () => {
    const stray = parseSource("web/src/a.ts", 'import "left-pad";');
    expect(findPackageProblems([...good, stray], rules)).toEqual([
      expect.stringContaining("left-pad has no place"),
    ]);
  });

  it("refuses a second file that names a vendor's SDK, if only by its path", () => {
    const second = parseSource("server/providers/speech/b.ts", 'load("sdk/model.bin");');
    expect(findPackageProblems([...good, second], rules)).toEqual([
      expect.stringContaining("sdk is named in 2 files"),
    ]);
  });

  it("refuses a dependency that nothing imports, and one that the table does not know", () => {
    expect(findPackageProblems(good.slice(1), rules)).toEqual([
      "package.json: nothing imports sdk",
    ]);
    expect(findPackageProblems(good, { ...rules, dependencies: ["left-pad"] })).toEqual([
      expect.stringContaining("left-pad has no place"),
    ]);
  });
});
