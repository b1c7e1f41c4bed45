import { describe, expect, it } from "vitest";
import { findEnvironmentReads, findUnusedSettings } from "./settings.ts";
import { parseSource } from "./source.ts";

const reads = (path: string, text: string) => findEnvironmentReads([parseSource(path, text)]);

describe("findEnvironmentReads", () => {
  it.each([
    "const home = process.env.HOME;",
    'const home = process["env"].HOME;',
    "const home = globalThis.process.env.HOME;",
    "const { env } = process;",
    "const { env: all } = globalThis.process;",
    'import { env } from "node:process";',
    'import { env as all } from "process";',
    "const child = { env: { ...process.env } };",
  ])("sees that it is read by %s", (text) => {
    expect(reads("server/app.ts", text)).toEqual([expect.stringMatching(/^server\/app\.ts:1: /)]);
  });

  it.each([
    "// process.env.HOME",
    'const text = "process.env";',
    "const { env } = input;",
    "process.exit(0);",
    "input.env.HOME;",
  ])("is not misled by %s", (text) => {
    expect(reads("server/app.ts", text)).toEqual([]);
  });

  it("lets config.ts, tests and the tools read it", () => {
    for (const path of ["server/config/config.ts", "server/a.test.ts", "tools/a.ts"]) {
      expect(reads(path, "process.env.HOME;")).toEqual([]);
    }
  });
});

describe("findUnusedSettings", () => {
  it("names each setting that the reader neither takes nor destructures", () => {
    const reader = parseSource(
      "server/config/config.ts",
      "// D\nenv.A; const { B, ...rest } = env;",
    );
    expect(findUnusedSettings(["A", "B", "C", "D"], reader)).toEqual([
      "server/config/config.ts: never uses the setting C",
      "server/config/config.ts: never uses the setting D",
    ]);
  });
});
