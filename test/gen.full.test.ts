import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

// Each run starts Node, buf and protoc-gen-es: 2 s on an idle machine.
const TIMEOUT_MS = 120_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const parts = ["proto", "gen", "tools", "docs/api.md", "buf.yaml", "buf.gen.yaml", "package.json"];

/** Runs the tool of the copy, as npm's scripts do. */
async function gen(copy: string, ...args: string[]) {
  const argv = [join(copy, "tools/gen.ts"), ...args];
  return await promisify(execFile)(process.execPath, argv, { cwd: copy }).then(
    ({ stdout }) => ({ code: 0, said: stdout }),
    (error) => ({ code: error.code as number, said: error.stderr as string }),
  );
}

function snapshot(copy: string): Record<string, string> {
  const entries = globSync("{gen,docs,proto}/**/*", { cwd: copy, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((e) => join(e.parentPath, e.name));
  return Object.fromEntries(paths.map((path) => [path, readFileSync(path, "utf8")]));
}

describe("gen.ts", { timeout: TIMEOUT_MS }, () => {
  let copy: string;
  let proto: string;

  beforeEach(async () => {
    copy = await mkdtemp(join(tmpdir(), "parley-copy-"));
    proto = join(copy, "proto/streaming/streaming.proto");
    for (const part of parts) await cp(join(root, part), join(copy, part), { recursive: true });
    await symlink(join(root, "node_modules"), join(copy, "node_modules"), "junction");
  }, TIMEOUT_MS);

  afterEach(() => rm(copy, { recursive: true }));

  async function edit(path: string, from: string, to: string): Promise<void> {
    const source = await readFile(path, "utf8");
    expect(source).toContain(from);
    await writeFile(path, source.replace(from, to));
  }

  it("finds nothing to say of what is committed", async () => {
    expect(await gen(copy, "--check")).toEqual({ code: 0, said: "" });
  });

  it("names each file that a changed comment makes stale, and changes none", async () => {
    await edit(proto, "What the user said.", "What the user says.");
    await writeFile(join(copy, "gen/streaming/old_pb.ts"), "export {};\n");
    await rm(join(copy, "gen/grpc/health/v1/health_pb.ts"));
    const before = snapshot(copy);
    const { code, said } = await gen(copy, "--check");
    expect(code).toBe(1);
    expect(said).toContain("npm run gen");
    expect(said.match(/^ {2}.*$/gm)).toEqual([
      "  docs/api.md differs",
      "  gen/grpc/health/v1/health_pb.ts is missing",
      "  gen/streaming/old_pb.ts is no longer generated",
      "  gen/streaming/streaming_pb.ts differs",
    ]);
    expect(snapshot(copy)).toEqual(before);
  });

  it("corrects all of it without --check", async () => {
    const committed = snapshot(copy);
    await edit(join(copy, "gen/streaming/streaming_pb.ts"), "StreamRequest", "Stream2Request");
    await writeFile(join(copy, "gen/streaming/old_pb.ts"), "export {};\n");
    await rm(join(copy, "docs/api.md"));
    const { code, said } = await gen(copy);
    expect(code).toBe(0);
    expect(said.trim().split("\n")).toEqual([
      "wrote docs/api.md",
      "deleted gen/streaming/old_pb.ts",
      "wrote gen/streaming/streaming_pb.ts",
    ]);
    expect(snapshot(copy)).toEqual(committed);
  });

  it("fails with the file and line that cannot be compiled", async () => {
    await edit(proto, "string prompt = 1;", "strong prompt = 1;");
    const { code, said } = await gen(copy, "--check");
    expect(code).toBe(1);
    expect(said).toMatch(/streaming\.proto:\d+:\d+:.*strong/);
  });
});
