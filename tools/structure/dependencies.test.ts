import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { checkDependencies, findUnread } from "./dependencies.ts";

const roots: string[] = [];

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** Writes the files, and answers what dependency-cruiser says of them. */
async function check(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const root = mkdtempSync(join(tmpdir(), "parley-layers-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const folders = new Set(Object.keys(files).map((path) => path.slice(0, path.indexOf("/"))));
  const { read, problems } = await checkDependencies(root, [...folders]);
  expect(findUnread(Object.keys(files), read)).toEqual([]);
  return problems;
}

/** Files that import one another as listed. */
function importing(imports: readonly (readonly [from: string, to: string, rule?: string])[]) {
  const files: Record<string, string> = {};
  for (const [from, to] of imports) {
    const path = "../".repeat(from.split("/").length - 1);
    files[to] ??= "";
    files[from] = `${files[from] ?? ""}import { a } from "${path}${to}";\n`;
  }
  return files;
}

const allowed = [
  ["server/core/text/a.ts", "server/core/audio/b.ts"],
  ["server/failover/a.ts", "server/models/b.ts"],
  ["server/providers/tone/a.ts", "server/telemetry/b.ts"],
  ["server/conversation/a.ts", "server/failover/b.ts"],
  ["server/http/a.ts", "server/conversation/b.ts"],
  ["server/app.ts", "server/config/config.ts"],
  ["server/main.ts", "server/app.ts"],
  ["server/adapters.ts", "server/providers/tone.ts"],
  ["server/rpc/a.ts", "gen/a_pb.ts"],
  ["web/src/a.ts", "gen/a_pb.ts"],
  ["server/core/a.test.ts", "server/http/b.ts"],
  ["server/http/a.test.ts", "test/support/gateway.ts"],
  ["bench/a.ts", "emulators/gemini.ts"],
] as const;

const refused = [
  ["server/core/a.ts", "server/telemetry/b.ts", "layers-core"],
  ["server/models/a.ts", "server/telemetry/b.ts", "layers-models"],
  ["server/providers/a.ts", "server/failover/b.ts", "layers-providers"],
  ["server/conversation/a.ts", "server/rpc/b.ts", "layers-conversation"],
  ["server/rpc/a.ts", "server/http/b.ts", "layers-rpc"],
  ["server/http/a.ts", "server/config/b.ts", "layers-http"],
  ["server/config/a.ts", "server/app.ts", "layers-config"],
  ["server/handler.ts", "server/app.ts", "layers-handler.ts"],
  ["server/http/c.ts", "web/src/b.ts", "layers-http"],
  ["server/http/d.ts", "server/elsewhere/b.ts", "layers-http"],
  ["server/handler.ts", "server/providers/tone.ts", "adapters"],
  ["server/conversation/c.ts", "server/local-tts/b.ts", "adapters"],
  ["server/app.ts", "gen/a_pb.ts", "gen-importers"],
  ["server/transport/a.ts", "emulators/gemini.ts", "test-code"],
  ["examples/a.ts", "test/support/b.ts", "test-code"],
] as const;

describe("checkDependencies", () => {
  it("lets a file import its own package, lower layers, and what else the rules allow", async () => {
    expect(await check(importing(allowed))).toEqual([]);
  });

  it("refuses imports up, sideways and from elsewhere, each by its rule", async () => {
    const problems = await check(importing(refused));
    for (const [from, to, rule] of refused) {
      expect(problems).toContainEqual(expect.stringContaining(`${from} → ${to}: ${rule}: `));
    }
  });

  it("sees every form of import, also in code that declares with `using`", async () => {
    const forms = [
      'import type { A } from "../http/b.ts";',
      'import { type A } from "../http/b.ts";',
      'export * from "../http/b.ts";',
      'export type { A } from "../http/b.ts";',
      'export async function f() { using g = h(); return await import("../http/b.ts"); }',
    ];
    const files = forms.map((text, index) => [`server/core/a${index}.ts`, text]);
    const problems = await check({ ...Object.fromEntries(files), "server/http/b.ts": "" });
    expect(problems).toHaveLength(forms.length);
  });

  it("refuses Node's modules in core/, with and without node:, but not in its tests", async () => {
    const text = 'import "node:fs"; import "fs/promises";';
    const places = ["server/core/a.ts", "server/core/a.test.ts", "server/http/a.ts"];
    expect(await check(Object.fromEntries(places.map((path) => [path, text])))).toEqual([
      expect.stringMatching(/^server\/core\/a\.ts → fs: core-no-io: /),
      expect.stringMatching(/^server\/core\/a\.ts → fs\/promises: core-no-io: /),
    ]);
  });

  it("refuses files that import each other in a circle, and imports that lead nowhere", async () => {
    const files = {
      "tools/a.ts": 'import "./b.ts"; import "./gone.ts";',
      "tools/b.ts": 'import type { A } from "./a.ts";',
    };
    const problems = await check(files);
    expect(problems).toContainEqual(expect.stringContaining("no-cycles"));
    expect(problems).toContainEqual(expect.stringMatching(/^tools\/a\.ts → \.\/gone\.ts: resolv/));
  });
});

describe("findUnread", () => {
  it("names code that is listed and was not read", () => {
    expect(findUnread(["server/a.ts", "server/b.ts"], ["server/b.ts", "fs"])).toEqual([
      "server/a.ts: was not read",
    ]);
  });
});
