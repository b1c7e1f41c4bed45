import { globSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readContract } from "./contract.ts";
import { renderApi } from "./render.ts";

// buf is a process of its own; compiling takes 0.2 s on an idle machine.
const TIMEOUT_MS = 60_000;

const root = fileURLToPath(new URL("../..", import.meta.url));

const SAMPLE = `// The sample.
syntax = "proto3";

package sample.v1;

import "google/protobuf/timestamp.proto";

// Talk talks.
service TalkService {
  // Both streams both ways.
  rpc Both(stream Ask) returns (stream Answer);
  // Up streams to the gateway. And more.
  rpc Up(stream Ask) returns (Answer);
  // Old is old.
  rpc Old(Ask) returns (Answer) {
    option deprecated = true;
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}

// Ask asks.
message Ask {
  // Gone.
  reserved 4, 6 to 8;
  reserved "gone";

  // Inner is inside.
  message Inner {
    // Kind is a kind.
    enum Kind {
      // Retired.
      reserved 5 to 6;
      // None.
      KIND_UNSPECIFIED = 0;
      // Loud.
      KIND_LOUD = 1 [deprecated = true];
    }
    // The kind: a|b, <b> or \`<c>\`.
    Kind kind = 1;
  }
  // Words.
  map<string, int32> counts = 1;
  // Parts.
  map<int32, Inner> parts = 2;
  repeated Inner.Kind kinds = 3; // Behind.
  // When.
  //
  // - first
  // - second
  google.protobuf.Timestamp when = 5;
  // One of them.
  oneof choice {
    // Required if loud.
    bytes loud = 16;
  }
}

// Answer answers.
message Answer {}
`;

describe("renderApi", { timeout: TIMEOUT_MS }, () => {
  let sampleRoot: string;
  let sample: string;

  beforeAll(async () => {
    sampleRoot = await mkdtemp(join(tmpdir(), "parley-docs-"));
    const path = join(sampleRoot, "proto/sample/v1/sample.proto");
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, SAMPLE);
    await writeFile(join(sampleRoot, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n");
    sample = renderApi(await readContract(sampleRoot));
  }, TIMEOUT_MS);

  afterAll(() => rm(sampleRoot, { recursive: true }));

  it("lists every RPC, field and enum value of the contract", async () => {
    const docs = renderApi(await readContract(root));
    for (const path of globSync("proto/**/*.proto", { cwd: root })) {
      const source = await readFile(join(root, path), "utf8");
      expect(docs).toContain(path);
      for (const [, name] of source.matchAll(/^\s+rpc (\w+)\(/gm)) {
        expect(docs).toMatch(new RegExp(`^#### <a id="[\\w.]+\\.${name}"></a>${name}$`, "m"));
      }
      const numbered = [...source.matchAll(/^\s+(?:[\w.<>, ]+ )?(\w+) = (\d+)( \[.*\])?;/gm)];
      expect(numbered.length).toBeGreaterThan(0);
      for (const [, name, number] of numbered)
        expect(docs).toContain(`| ${number} | \`${name}\` |`);
    }
  });

  it("gives every link of its own a place to go to", async () => {
    for (const docs of [sample, renderApi(await readContract(root))]) {
      const ids = new Set([...docs.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id));
      const links = [...docs.matchAll(/\]\(#([^)]+)\)/g)].map(([, id]) => id);
      expect(links.length).toBeGreaterThan(0);
      expect(links.filter((id) => !ids.has(id))).toEqual([]);
    }
  });

  it("tells how an RPC streams, its path, and what else it is", () => {
    expect(sample).toContain(
      "stream of [Ask](#sample.v1.Ask) → stream of [Answer](#sample.v1.Answer) · `/sample.v1.TalkService/Both`",
    );
    expect(sample).toContain(
      "\nstream of [Ask](#sample.v1.Ask) → [Answer](#sample.v1.Answer) · `/sample.v1.TalkService/Up`",
    );
    expect(sample).toContain("/Old` · no side effects: GET over Connect · deprecated");
  });

  it("puts the first sentence of an RPC's comment into the overview", () => {
    expect(sample).toContain("| Up streams to the gateway. |");
  });

  it("tells maps, lists, nested and foreign types", () => {
    expect(sample).toContain("| 1 | `counts` | map of string to int32 | Words. |");
    expect(sample).toContain("| `parts` | map of int32 to [Ask.Inner](#sample.v1.Ask.Inner) |");
    expect(sample).toContain("repeated [Ask.Inner.Kind](#sample.v1.Ask.Inner.Kind) | Behind. |");
    expect(sample).toContain("| `google.protobuf.Timestamp` |");
    expect(sample).not.toContain("Package `google.protobuf`");
  });

  it("keeps a comment's paragraphs, lists, bars and angles inside its cell", () => {
    expect(sample).toContain("| When.<br><br>- first<br>- second |");
    expect(sample).toContain("| The kind: a\\|b, &lt;b> or `<c>`. |");
  });

  it("tells which fields exclude each other, and which is required by its comment", () => {
    expect(sample).toContain("**Oneof `choice`.** One of them.\n\n| # |");
    expect(sample).toContain("| 16 | `loud` | bytes, required | Required if loud. |");
  });

  it("tells the reserved numbers and names of messages and enums, and why", () => {
    expect(sample).toContain("**Reserved:** 4, 6–8; `gone`. Gone.");
    expect(sample).toContain("**Reserved:** 5–6. Retired.");
  });

  it("tells of a message without fields, and of a deprecated value", () => {
    expect(sample).toContain("Answer answers.\n\nIt has no fields.");
    expect(sample).toContain("| 1 | `KIND_LOUD`, deprecated | Loud. |");
  });
});

describe("readContract", { timeout: TIMEOUT_MS }, () => {
  it("puts gRPC's own packages after ours", async () => {
    const names = (await readContract(root)).map(({ name }) => name);
    const foreign = names.findIndex((name) => name.startsWith("grpc."));
    expect(foreign).toBeGreaterThan(0);
    expect(names.slice(foreign).every((name) => name.startsWith("grpc."))).toBe(true);
  });
});
