import { describe, expect, it } from "vitest";
import {
  findAdapterProblems,
  findCoreProblems,
  findFloorProblems,
  findGenProblems,
  findTestingProblems,
} from "./floors.ts";
import { parseSource } from "./source.ts";

const file = (path: string, ...imports: string[]) => [
  parseSource(path, imports.map((name) => `import "${name}";`).join("\n")),
];

describe("findFloorProblems", () => {
  it.each([
    ["server/core/a.ts", "./b.ts"],
    ["server/http/a.ts", "../conversation/b.ts"],
    ["server/conversation/a.ts", "../providers/tiers.ts"],
    ["server/providers/speech/a.ts", "../../core/b.ts"],
    ["server/app.ts", "./config.ts"],
    ["server/app.ts", "../package.json"],
    ["server/main.ts", "./app.ts"],
    ["server/rpc/a.ts", "../../gen/streaming/streaming_pb.ts"],
    ["server/core/a.test.ts", "../http/b.ts"],
    ["server/testing/a.ts", "../app.ts"],
  ])("lets %s import %s", (path, name) => {
    expect(findFloorProblems(file(path, name))).toEqual([]);
  });

  it.each([
    ["server/core/a.ts", "../telemetry/b.ts", "up"],
    ["server/conversation/a.ts", "../rpc/b.ts", "up"],
    ["server/rpc/a.ts", "../http/b.ts", "sideways"],
    ["server/providers/speech/a.ts", "../../storage/b.ts", "sideways"],
    ["server/http/a.ts", "../config.ts", "up"],
    ["server/config/config.ts", "./app.ts", "up"],
    ["server/http/a.ts", "../../web/src/b.ts", "no place"],
    ["server/http/a.ts", "../elsewhere/b.ts", "no place"],
  ])("refuses %s to import %s", (path, name, why) => {
    expect(findFloorProblems(file(path, name))).toEqual([
      expect.stringMatching(new RegExp(`^${path}:1: .*${why}`)),
    ]);
  });

  it("refuses a room, and a file above the rooms, that the table does not know", () => {
    for (const path of ["server/elsewhere/a.ts", "server/extra.ts"]) {
      expect(findFloorProblems(file(path))).toEqual([expect.stringContaining(`${path}: has no`)]);
    }
  });
});

describe("findCoreProblems", () => {
  it("refuses Node's modules in core/, with and without node:", () => {
    expect(findCoreProblems(file("server/core/a.ts", "./b.ts", "node:fs", "fs/promises"))).toEqual([
      "server/core/a.ts:2: imports node:fs: core/ does no I/O",
      "server/core/a.ts:3: imports fs/promises: core/ does no I/O",
    ]);
  });

  it("lets tests of core/ and other rooms have them", () => {
    expect(findCoreProblems(file("server/core/a.test.ts", "node:fs"))).toEqual([]);
    expect(findCoreProblems(file("server/http/a.ts", "node:fs"))).toEqual([]);
  });
});

describe("findTestingProblems", () => {
  it("keeps testing/ to tests and the bench", () => {
    const name = "../testing/a.ts";
    expect(findTestingProblems(file("server/http/a.test.ts", name))).toEqual([]);
    expect(findTestingProblems(file("bench/gateway.ts", "../server/testing/a.ts"))).toEqual([]);
    expect(findTestingProblems(file("server/http/a.ts", name))).toHaveLength(1);
    expect(findTestingProblems(file("examples/a.ts", "../server/testing/a.ts"))).toHaveLength(1);
  });
});

describe("findGenProblems", () => {
  it("shows gen/ to the wire's rooms and to tests", () => {
    const name = "../../gen/a_pb.ts";
    for (const path of ["server/rpc/a.ts", "web/src/a.ts", "server/http/a.test.ts"]) {
      expect(findGenProblems(file(path, name))).toEqual([]);
    }
    expect(findGenProblems(file("server/handler.ts", "../gen/a_pb.ts"))).toEqual([]);
    for (const path of ["server/http/a.ts", "server/conversation/a.ts"]) {
      expect(findGenProblems(file(path, name))).toHaveLength(1);
    }
    expect(findGenProblems(file("server/app.ts", "../gen/a_pb.ts"))).toHaveLength(1);
  });
});

describe("findAdapterProblems", () => {
  it.each([
    ["server/adapters.ts", "./providers/speech/tone.ts"],
    ["server/conversation/a.ts", "../providers/speech/synthesizer.ts"],
    ["server/conversation/a.ts", "../cluster/bus.ts"],
    ["server/providers/speech/a.ts", "./tone.ts"],
    ["server/conversation/a.test.ts", "../providers/speech/tone.ts"],
  ])("lets %s import %s", (path, name) => {
    expect(findAdapterProblems(file(path, name))).toEqual([]);
  });

  it.each([
    ["server/conversation/a.ts", "../providers/speech/tone.ts"],
    ["server/handler.ts", "./providers/text/offline.ts"],
    ["server/rpc/a.ts", "../cluster/redis.ts"],
    ["server/conversation/a.ts", "../storage/database.ts"],
  ])("refuses %s to import %s", (path, name) => {
    expect(findAdapterProblems(file(path, name))).toEqual([
      expect.stringContaining("only server/adapters.ts"),
    ]);
  });

  it("lets others have the types of storage/, not those of providers/", () => {
    const typed = (name: string) => [
      parseSource("server/conversation/a.ts", `import type { A } from "../${name}";`),
    ];
    expect(findAdapterProblems(typed("storage/turn-store.ts"))).toEqual([]);
    expect(findAdapterProblems(typed("providers/speech/tone.ts"))).toHaveLength(1);
  });
});
