import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { runProgram } from "./support/program.ts";

// A copy of the code with the page's sample in it, as a reader who follows the page would have it.

const root = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(`${root}docs/adding-a-provider.md`, "utf8");
const copied = ["server", "emulators", "gen", "test/contracts", "test/support"];
const blocks = Array.from(
  page.matchAll(/^```(ts|diff) file=(\S+)\n(.*?)^```$/gms),
  ([, kind = "", path = "", text = ""]) => ({ kind, path, text }),
);
const samples = blocks.filter(({ kind }) => kind === "ts").map(({ path }) => path);

const folder = mkdtempSync(join(tmpdir(), "adding-a-provider-"));
afterAll(() => rmSync(folder, { recursive: true }));
for (const part of copied) cpSync(join(root, part), join(folder, part), { recursive: true });
for (const file of ["package.json", "tsconfig.json"]) cpSync(join(root, file), join(folder, file));
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
for (const { kind, path, text } of blocks) {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, kind === "ts" ? text : patched(path, readFileSync(file, "utf8"), text));
}

/** Replaces the lines of the diff that are there already by those that shall be. */
function patched(path: string, text: string, diff: string): string {
  const lines = diff.trimEnd().split("\n");
  const without = (mark: string) =>
    lines.filter((line) => !line.startsWith(mark)).map((line) => line.slice(1));
  const [before = "", after = ""] = [without("+").join("\n"), without("-").join("\n")];
  if (text.split(before).length !== 2) throw new Error(`${path} does not hold once:\n${before}`);
  return text.replace(before, () => after);
}

describe("docs/adding-a-provider.md", () => {
  it("shows a provider, its emulator and its test", () => {
    expect(samples).toEqual([
      "server/providers/acme/acme.ts",
      "emulators/acme.ts",
      "test/providers/acme.test.ts",
    ]);
  });

  it("compiles, together with what it changes in the gateway", async () => {
    const config = { extends: "./tsconfig.json", include: ["server/main.ts", ...samples] };
    writeFileSync(join(folder, "tsconfig.sample.json"), JSON.stringify(config));
    const tsc = join(folder, "node_modules/.bin/tsc");
    const run = await runProgram(tsc, ["--noEmit", "-p", "tsconfig.sample.json"], { cwd: folder });
    expect(`${run.stdout}${run.stderr}`).toBe("");
    expect(run.code).toBe(0);
  });

  it("registers the tier where its key is set, and asks for the key where it is named", async () => {
    const { readConfig } =
      await load<typeof import("../server/config/config.ts")>("server/config/config.ts");
    const { openLanguageModels } =
      await load<typeof import("../server/adapters.ts")>("server/adapters.ts");
    const models = (env: Record<string, string>) =>
      openLanguageModels(readConfig(env), { onError: () => undefined }).map(({ name }) => name);
    expect(models({ ACME_API_KEY: "key" })).toEqual(["acme", "offline"]);
    expect(models({})).toEqual(["offline"]);
    expect(() => models({ TEXT_TIERS: "acme" })).toThrow("ACME_API_KEY");
  });
});

// The contract suite over the sample.
await load("test/providers/acme.test.ts");

function load<Module>(path: string): Promise<Module> {
  return import(/* @vite-ignore */ join(folder, path));
}
